import { describe, expect, it, vi } from "vitest";
import { LocalMedia } from "../src/media.js";
import { join, member, start, withFakeTime } from "./in_room.js";

const connect = () => start({ bufferBytes: 100 }, { ice_servers: [{ urls: ["stun:192.0.2.1"] }] });

const inRoom = (members: object[], media = new LocalMedia()) =>
  join(connect(), { members }, { name: "me", data: { audio: true }, media });

withFakeTime();

describe("joining", () => {
  it("meets who is there, with the server's ICE servers", async () => {
    const { server, room, connections } = await inRoom([member("a", 1), member("b", 2)]);
    expect(server.last.of("join")[0]).toMatchObject({
      room: "r",
      name: "me",
      data: { audio: true },
    });
    expect([...room.peers.keys()]).toEqual(["a", "b"]);
    expect(connections[0]?.configuration).toEqual({
      iceServers: [{ urls: ["stun:192.0.2.1"] }],
      iceTransportPolicy: "all",
    });
  });

  it("fails with the server's reason", async () => {
    const { server, client } = connect();
    const joining = client.join("r");
    server.last.say({ type: "error", re: 1, code: "room_full", message: "full" });
    await expect(joining).rejects.toMatchObject({ name: "ServerError", code: "room_full" });
  });
});

describe("presence", () => {
  it("tells who comes, changes and goes", async () => {
    const { server, room, connections } = await inRoom([]);
    const seen: string[] = [];
    room.on("peerjoined", (peer) => seen.push(`joined ${peer.session}`));
    room.on("peerupdated", (peer) => seen.push(`${peer.state} ${peer.name ?? ""}`));
    room.on("peerleft", ({ peer, reason }) => seen.push(`left ${peer.session} ${reason}`));
    const say = (seq: number, fields: object) => {
      server.last.say({ type: "presence", seq, room: "r", member: member("a", 1, fields) });
    };
    say(2, {});
    say(3, { state: "suspended", name: "Ada" });
    expect(connections[0]?.connectionState).toBe("new");
    say(4, { state: "left", reason: "expired" });
    expect(seen).toEqual(["joined a", "suspended Ada", "left a expired"]);
    expect(connections[0]?.connectionState).toBe("closed");
  });

  it("meets a member anew under a new epoch, and drops what belongs to the old one", async () => {
    const { server, room, connections } = await inRoom([member("a", 1)]);
    server.last.say({ type: "presence", seq: 2, room: "r", member: member("a", 2) });
    expect(connections.map(({ connectionState }) => connectionState)).toEqual(["closed", "new"]);
    const signal = { type: "offer", room: "r", from: "a", body: { type: "offer", sdp: "x" } };
    server.last.say({ ...signal, seq: 3, epoch: 1 });
    await vi.advanceTimersByTimeAsync(0);
    expect(connections[1]?.remoteDescription).toBeNull();
    server.last.say({ ...signal, seq: 4, epoch: 2 });
    await vi.advanceTimersByTimeAsync(0);
    expect(connections[1]?.remoteDescription?.sdp).toBe("x");
    expect(server.last.of("answer")[0]).toMatchObject({ to: "a", epoch: 2, room: "r" });
    expect(room.peers.size).toBe(1);
  });
});

describe("the loss of the server", () => {
  it("leaves the connections to the peers alone when the session goes on", async () => {
    const { server, connections } = await inRoom([member("a", 1)]);
    server.last.end(1006);
    await vi.advanceTimersByTimeAsync(0);
    server.last.welcome({ resumed: "full", applied: 1, ice_servers: [{ urls: ["stun:new"] }] });
    expect(connections).toHaveLength(1);
    expect(connections[0]?.connectionState).toBe("new");
    expect(connections[0]?.configuration.iceServers).toEqual([{ urls: ["stun:new"] }]);
  });

  it("joins again when the server has lost the session, as it is by then", async () => {
    const { server, client, room, connections } = await inRoom([member("a", 1)]);
    const rejoined = vi.fn();
    room.on("rejoined", rejoined);
    server.last.end(1006);
    const updated = room.update({ data: { audio: false } });
    await vi.advanceTimersByTimeAsync(0);
    server.last.welcome({ session: "again" });
    await updated;
    const [join] = server.last.of("join");
    expect(server.last.of("join")).toHaveLength(1);
    expect(join).toMatchObject({ name: "me", data: { audio: false } });
    expect(connections[0]?.connectionState).toBe("new");
    server.last.say({ type: "joined", seq: 1, re: join?.id, room: "r", members: [member("a", 9)] });
    expect(connections.map(({ connectionState }) => connectionState)).toEqual(["closed", "new"]);
    expect(rejoined).toHaveBeenCalledOnce();
    expect(client.session).toBe("again");
  });

  it("takes a snapshot in place of what it has missed, and answers too", async () => {
    const { server, client, room, connections } = await inRoom([member("a", 1), member("b", 2)]);
    const left = vi.fn();
    room.on("peerleft", left);
    const updated = room.update({ data: 1 });
    const leaves = client.join("other");
    await vi.advanceTimersByTimeAsync(0);
    server.last.end(1006);
    await vi.advanceTimersByTimeAsync(0);
    server.last.welcome({ resumed: "snapshot", applied: 3 });
    const rooms = [
      { room: "r", version: 9, members: [member("b", 2), member("c", 3)] },
      { room: "other", version: 1, members: [] },
    ];
    server.last.say({ type: "snapshot", seq: 40, rooms });
    await updated;
    expect((await leaves).peers.size).toBe(0);
    expect([...room.peers.keys()]).toEqual(["b", "c"]);
    expect(left).toHaveBeenCalledOnce();
    expect(connections.map(({ connectionState }) => connectionState)).toEqual([
      "closed",
      "new",
      "new",
    ]);
    expect(client.session).toBe("me");
    // What follows is counted from there.
    server.last.say({ type: "presence", seq: 41, room: "r", member: member("d", 4) });
    expect(room.peers.size).toBe(3);
  });

  it("joins again only once when it is lost again before the answer", async () => {
    const { server } = await inRoom([]);
    for (let count = 0; count < 2; count += 1) {
      server.last.end(1006);
      await vi.advanceTimersByTimeAsync(0);
      server.last.welcome({ session: `again ${count}` });
    }
    expect(server.last.of("join")).toHaveLength(1);
  });

  it("closes the room when it cannot be joined again", async () => {
    const { server, room, client } = await inRoom([]);
    const closed = vi.fn();
    room.on("closed", closed);
    server.last.end(1006);
    await vi.advanceTimersByTimeAsync(0);
    server.last.welcome({ session: "again" });
    const [join] = server.last.of("join");
    server.last.say({ type: "error", re: join?.id, code: "room_full", message: "full" });
    expect(closed.mock.calls[0]?.[0]).toMatchObject({ error: { code: "room_full" } });
    expect(client.rooms.size).toBe(0);
  });
});

describe("data", () => {
  it("goes to everyone whose channel is open", async () => {
    const { room, connections } = await inRoom([member("a", 1), member("b", 2)]);
    connections[0]?.channels[0]?.open();
    const { sent, failed } = room.send("hello");
    expect(sent.map(({ session }) => session)).toEqual(["a"]);
    expect(failed.map(({ peer, error }) => [peer.session, error.code])).toEqual([
      ["b", "channel_not_open"],
    ]);
    expect(connections[0]?.channels[0]?.sent).toEqual(["hello"]);
  });

  it("is refused rather than buffered without end", async () => {
    const { room, connections } = await inRoom([member("a", 1)]);
    const channel = connections[0]?.channels[0];
    const peer = room.peers.get("a");
    channel?.open();
    if (channel) channel.bufferedAmount = 90;
    const full: unknown = expect.objectContaining({
      name: "ChannelError",
      code: "channel_buffer_full",
    });
    expect(() => peer?.send("eleven byte")).toThrow(full);
    const large: unknown = expect.objectContaining({ code: "message_too_large" });
    expect(() => peer?.send("x".repeat(1001))).toThrow(large);
    const drained = peer?.drained();
    channel?.dispatchEvent(new Event("bufferedamountlow"));
    await expect(drained).resolves.toBeUndefined();
  });
});

describe("media", () => {
  const track = (kind: string, name: string): MediaStreamTrack =>
    ({ kind, name }) as unknown as MediaStreamTrack;

  it("goes to present and future peers, and changes without negotiation", async () => {
    const media = new LocalMedia();
    media.set("camera", track("video", "front"));
    const { server, connections } = await inRoom([member("a", 1)], media);
    server.last.say({ type: "presence", seq: 2, room: "r", member: member("b", 2) });
    media.set("camera", track("video", "back"));
    for (const { transceivers } of connections) {
      expect(transceivers.map(({ sender }) => sender.track)).toEqual([
        { kind: "video", name: "back" },
      ]);
    }
    media.clear("camera");
    expect(connections[0]?.transceivers[0]?.sender.track).toBeNull();
    media.remove("camera");
    expect(connections[0]?.transceivers[0]?.stopped).toBe(true);
  });

  it("keeps a slot to its kind", () => {
    const media = new LocalMedia();
    media.reserve("camera", "video");
    expect(() => media.set("camera", track("audio", "x"))).toThrow(TypeError);
  });
});

describe("a refusal", () => {
  async function refused(code: string) {
    const { server, client, room, connections } = await inRoom([member("a", 1)]);
    const errors: unknown[] = [];
    room.on("error", ({ error }) => errors.push(error.code));
    client.on("error", (error) => errors.push(error.code));
    connections[0]?.needNegotiation();
    await vi.advanceTimersByTimeAsync(0);
    const [{ id } = {}] = server.last.of("offer");
    expect(id).toBeDefined();
    server.last.say({ type: "error", re: id, code, message: "no" });
    return errors;
  }

  it.each(["no_such_member", "stale_epoch"])("of %s is a race, and no error", async (code) => {
    expect(await refused(code)).toEqual([]);
  });

  it("of any other kind is told", async () => {
    expect(await refused("addressee_overloaded")).toEqual(["addressee_overloaded"]);
  });
});

describe("a connection that is beyond repair", () => {
  async function rebuilt() {
    const all = await inRoom([member("a", 1)]);
    const peer = all.room.peers.get("a");
    const told: string[] = [];
    peer?.on("rebuilt", () => told.push("rebuilt"));
    peer?.on("trackremoved", ({ kind }) => told.push(`no ${kind}`));
    peer?.on("track", ({ kind }) => told.push(kind));
    peer?.openChannel("more").on("close", () => told.push("closed"));
    const [first] = all.connections;
    first?.receiveTrack("video");
    const signal = (type: string, body: object | null, seq: number) => {
      all.server.last.say({ type, seq, room: "r", from: "a", epoch: 1, body });
    };
    return { ...all, peer, told, first, signal };
  }

  it("makes room for another one, which says so in what it sends", async () => {
    const { server, connections, told, first } = await rebuilt();
    if (first) first.remoteDescription = { type: "answer", sdp: "theirs" };
    first?.becomeIce("failed");
    for (let waited = 0; waited < 35_000; waited += 5_000) {
      await vi.advanceTimersByTimeAsync(5_000);
      server.last.say({ type: "pong" });
    }
    expect(first?.connectionState).toBe("closed");
    expect(told).toEqual(["video", "no video", "closed", "rebuilt"]);
    connections[1]?.needNegotiation();
    await vi.advanceTimersByTimeAsync(0);
    expect(server.last.of("offer").map(({ body }) => body)).toEqual([
      { type: "offer", sdp: "local offer", labels: {}, rebuilds: 1 },
    ]);
  });

  it("is replaced when the other side has begun anew; what belongs to the old one is dropped", async () => {
    const { connections, told, signal } = await rebuilt();
    signal("offer", { type: "offer", sdp: "new", rebuilds: 3 }, 2);
    signal("candidate", { candidate: "old" }, 3);
    signal("candidate", null, 4);
    signal("candidate", { candidate: "new", rebuilds: 3 }, 5);
    await vi.advanceTimersByTimeAsync(0);
    expect(told).toEqual(["video", "no video", "closed", "rebuilt"]);
    expect(connections).toHaveLength(2);
    expect(connections[1]?.remoteDescription?.sdp).toBe("new");
    expect(connections[1]?.candidates).toEqual([{ candidate: "new", rebuilds: 3 }]);
  });

  it("is not replaced as often as somebody likes", async () => {
    const { connections, signal } = await rebuilt();
    for (let rebuilds = 1; rebuilds < 20; rebuilds += 1) {
      signal("offer", { type: "offer", sdp: "new", rebuilds }, rebuilds + 1);
    }
    await vi.advanceTimersByTimeAsync(0);
    expect(connections).toHaveLength(2);
  });
});

it("restarts a relayed path with new credentials, and no other", async () => {
  const { server, connections } = await inRoom([member("a", 1), member("b", 2)]);
  for (const connection of connections) {
    connection.remoteDescription = { type: "answer", sdp: "theirs" };
    connection.path = {
      localType: connection === connections[0] ? "relay" : "host",
      bytesReceived: 0,
    };
  }
  server.last.say({ type: "ice_servers", ice_servers: [{ urls: ["turn:x"], username: "u" }] });
  await vi.advanceTimersByTimeAsync(0);
  expect(connections.map(({ restarts }) => restarts)).toEqual([1, 0]);
});

it("uses the credentials that the server pushes", async () => {
  const { server, connections } = await inRoom([member("a", 1)]);
  server.last.say({ type: "ice_servers", ice_servers: [{ urls: ["turn:x"], username: "u" }] });
  expect(connections[0]?.configuration.iceServers).toEqual([{ urls: ["turn:x"], username: "u" }]);
});

it("leaves", async () => {
  const { server, room, client, connections } = await inRoom([member("a", 1)]);
  const leaving = room.leave();
  const [leave] = server.last.of("leave");
  server.last.say({ type: "left", seq: 2, re: leave?.id, room: "r" });
  await leaving;
  expect(connections[0]?.connectionState).toBe("closed");
  expect(client.rooms.size).toBe(0);
});
