import assert from "node:assert/strict";
import { test } from "node:test";
import { NativePeer } from "./native_peer.js";
import { WITHOUT_SERVER } from "./person.js";
import { Stage } from "./stage.js";

const stage = await Stage.forThisFile();
const timeout = 90_000;
const NAME = "Native";
let peer;

function startPeer(...options) {
  peer = NativePeer.start(...options);
  stage.afterThisTest(() => peer.kill());
}

async function assertTalks(ada) {
  await ada.sees(NAME);
  await peer.tells("connected");
  for (const kind of ["video", "audio"]) {
    const first = await peer.tells("rtp", (fields) => fields.kind === kind && fields.packets > 0);
    await peer.tells("rtp", (fields) => fields.kind === kind && fields.packets > first.packets);
  }
  await ada.reads("hello from Native");
  await ada.says("Are you a browser?");
  await peer.tells("chat", ({ text }) => text === "Are you a browser?");
  await ada.reads("echo: Are you a browser?");
}

test(
  "a tab that is there first and the native peer connect, send media and chat",
  { timeout },
  async () => {
    const room = stage.newRoom();
    const ada = await stage.enter("Ada", { room });
    startPeer(stage.server, room);
    await assertTalks(ada);
    await ada.badge(NAME).getByText("Direct · same network").waitFor();
    assert.equal(await peer.leaves(), 0);
    await ada.seesNoMore(NAME);
  },
);

test("a tab that comes second connects to the native peer just as well", { timeout }, async () => {
  const room = stage.newRoom();
  startPeer(stage.server, room);
  await peer.tells("welcome");
  const ada = await stage.enter("Ada", { room });
  await assertTalks(ada);
  await ada.leaves();
  assert.equal(await peer.leaves(), 0);
});

test(
  "a tab and the native peer meet on the relay when the latter insists on it",
  { timeout },
  async () => {
    const room = stage.newRoom();
    const ada = await stage.enter("Ada", { room });
    startPeer(stage.server, room, { relayOnly: true });
    await assertTalks(ada);
    const { local } = await peer.tells("selected");
    assert.equal(local, "relay");
    await ada.badge(NAME).getByText("Relayed").waitFor();
    assert.ok((await stage.server.metric("peerage_turn_bytes_to_peers_total")) > 10_000);
  },
);

test("a tab and the native peer understand each other in a sealed room", { timeout }, async () => {
  const key = "wq3xR0b2Yk9uPz5sLd7TgA";
  const name = stage.newRoom();
  const ada = await stage.enter("Ada", { room: `${name}:${key}` });
  startPeer(stage.server, name, { key });
  await assertTalks(ada);
  assert.notEqual((await peer.tells("joined")).room, name);
  await ada.leaves();
  assert.equal(await peer.leaves(), 0);
});

test(
  "a tab and the native peer keep their connection through a restart of the server",
  { timeout },
  async () => {
    const room = stage.newRoom();
    const ada = await stage.enter("Ada", { room, expected: WITHOUT_SERVER });
    startPeer(stage.server, room);
    await assertTalks(ada);
    assert.equal(await stage.server.terminate(), 0);
    await stage.server.startAgain();
    await peer.tells("continues");
    await ada.says("Still there?");
    await ada.reads("echo: Still there?");
    assert.equal(await ada.connectionsMade(), 1);
    assert.equal(peer.events.filter(({ event }) => event === "peer").length, 1);
    assert.ok(!peer.events.some(({ event }) => event === "left"));
    await ada.leaves();
    await peer.tells("left");
    assert.equal(await peer.leaves(), 0);
  },
);
