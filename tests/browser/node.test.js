import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import nodeDataChannel from "node-datachannel";
import { RTCPeerConnection } from "node-datachannel/polyfill";
import { WebSocket } from "ws";
import { Client } from "../../web/sdk/dist/index.js";
import { nodePeerConnections } from "../../web/sdk/dist/node.js";
import { Server } from "./server.js";

const createPeerConnection = nodePeerConnections(nodeDataChannel.PeerConnection, RTCPeerConnection);
const timeout = 60_000;
const clients = [];
let server;

before(async () => (server = await Server.start()));
after(async () => {
  for (const client of clients.splice(0)) client.close();
  await server?.close();
  nodeDataChannel.cleanup();
});

/** Somebody in the room, without a browser. */
async function enter(name, room, options = {}) {
  const url = `${server.url.replace("http", "ws")}/v1/ws`;
  const client = new Client({ url, webSocket: WebSocket, createPeerConnection, ...options });
  clients.push(client);
  return { client, room: await client.join(room, { name }) };
}

/** The next event of that name. */
function next(emitter, name) {
  return new Promise((resolve) => emitter.once(name, resolve));
}

async function peerIn(room) {
  return [...room.peers.values()][0] ?? next(room, "peerjoined");
}

/** Says something to the other one, once there is a way. */
async function hears(from, to, data) {
  const [there, here] = await Promise.all([peerIn(from.room), peerIn(to.room)]);
  const heard = next(here, "message");
  try {
    there.send(data);
  } catch {
    await next(there, "open");
    there.send(data);
  }
  return heard;
}

for (const [how, options] of [
  ["", {}],
  [" over a relay", { iceTransportPolicy: "relay" }],
]) {
  test(`two programs of Node talk over a data channel${how}`, { timeout }, async () => {
    const room = `node${how.replaceAll(" ", "-")}`;
    const ada = await enter("Ada", room, options);
    const grace = await enter("Grace", room, options);
    assert.equal(await hears(ada, grace, "From Node to Node."), "From Node to Node.");
    const bytes = await hears(grace, ada, new Uint8Array([1, 2, 3]));
    assert.deepEqual([...new Uint8Array(bytes)], [1, 2, 3]);
    const relayed = await server.metric("peerage_turn_bytes_to_peers_total");
    assert.equal(relayed > 0, how !== "");
  });
}

test("without a WebSocket, a program of Node uses what there is", { timeout }, async () => {
  class NoWebSocket extends EventTarget {
    constructor() {
      super();
      queueMicrotask(() => {
        this.dispatchEvent(Object.assign(new Event("close"), { code: 1006, reason: "" }));
      });
    }
    close() {}
  }
  const options = { webSocket: NoWebSocket };
  const ada = await enter("Ada", "node-events", options);
  const grace = await enter("Grace", "node-events");
  assert.equal(await hears(grace, ada, "By events."), "By events.");
});
