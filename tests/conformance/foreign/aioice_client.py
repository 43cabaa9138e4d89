"""aioice as a client of the relay: allocates, lets a peer echo data, and ends the allocation.

aioice_client.py TRANSPORT SERVER-PORT USERNAME PASSWORD PEER-PORT CA [refresh]

The server and the peer are on 127.0.0.1. With "refresh" the library refreshes the allocation at once
instead of when five sixths of its lifetime are over, and the channel with everything that it sends.
"""

import asyncio
import logging
import ssl
import sys

from aioice import turn

ADDRESS = "127.0.0.1"
ROUNDS = 50


class Receiver(asyncio.DatagramProtocol):
    def __init__(self):
        self.arrived = asyncio.Queue()
        self.ended = asyncio.get_running_loop().create_future()

    def datagram_received(self, data, addr):
        self.arrived.put_nowait((data, addr))

    def error_received(self, exc):
        self.arrived.put_nowait((exc, None))

    def connection_lost(self, exc):
        self.ended.set_result(exc)


class Refreshes(logging.Handler):
    """Notes that the library has said that it has refreshed the allocation."""

    def __init__(self):
        super().__init__()
        self.seen = asyncio.Event()

    def emit(self, record):
        if "allocation refreshed" in record.getMessage():
            self.seen.set()


async def echo(transport, receiver, peer):
    for number in range(ROUNDS):
        data = bytes([number]) * (number + 1_000)
        transport.sendto(data, peer)
        assert await asyncio.wait_for(receiver.arrived.get(), 30) == (data, peer)
    print("echoed", ROUNDS)


async def main():
    kind, server_port, username, password, peer_port, ca, *rest = sys.argv[1:]
    refreshes = Refreshes()
    turn.logger.setLevel(logging.INFO)
    turn.logger.addHandler(refreshes)
    transport, receiver = await turn.create_turn_endpoint(
        Receiver,
        server_addr=(ADDRESS, int(server_port)),
        username=username,
        password=password,
        channel_refresh_time=0 if rest else turn.DEFAULT_CHANNEL_REFRESH_TIME,
        ssl=ssl.create_default_context(cafile=ca) if kind == "tls" else None,
        transport="udp" if kind == "udp" else "tcp",
    )
    print("relayed", "%s:%d" % transport.get_extra_info("sockname"))
    peer = (ADDRESS, int(peer_port))
    await echo(transport, receiver, peer)
    if rest:
        client = transport._TurnTransport__inner_protocol
        client.refresh_task.cancel()
        client.refresh_task = asyncio.create_task(client.refresh(0))
        await asyncio.wait_for(refreshes.seen.wait(), 30)
        print("refreshed")
        await echo(transport, receiver, peer)
    transport.close()
    assert await asyncio.wait_for(receiver.ended, 30) is None
    print("closed")


asyncio.run(main())
