import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "./eventually.js";
import { ObstructingProxy } from "./obstructing_proxy.js";
import { WITHOUT_SERVER } from "./person.js";
import { Stage } from "./stage.js";

const stage = await Stage.forThisFile();
const timeout = 120_000;
const LOST = /Failed to load resource: .*(ERR_EMPTY_RESPONSE|ERR_INCOMPLETE_CHUNKED_ENCODING)/;
const expected = [...WITHOUT_SERVER, LOST];
let proxy;

/** Ada behind a network that does not pass everything, and Grace, who see and hear each other. */
async function pairAcross(obstacles) {
  proxy = Object.assign(await ObstructingProxy.before(stage.server), obstacles);
  stage.afterThisTest(() => proxy.close());
  const room = stage.newRoom();
  const ada = await stage.enter("Ada", { room, url: proxy.url, expected });
  const grace = await stage.enter("Grace", { room });
  await Promise.all([ada.receivesMedia(), grace.receivesMedia()]);
  return { ada, grace };
}

/** What somebody says of oneself is seen by the other: the signaling works in both directions. */
async function mutesAndIsSeen(one, other) {
  await one.button("Microphone").click();
  await other.tile(one.name).getByRole("img", { name: "Muted" }).waitFor();
}

async function talk({ ada, grace }) {
  await mutesAndIsSeen(ada, grace);
  await mutesAndIsSeen(grace, ada);
}

test("where no WebSocket passes, a stream of events carries the call", { timeout }, async () => {
  const people = await pairAcross({});
  // The server asks whether the page is there, soon while somebody waits: it has its answers, and
  // takes nobody for gone.
  const connections = proxy.asked.get("/v1/connect");
  await eventually("the answers", () => assert.ok(proxy.answered >= 2), { within: 60_000 });
  await talk(people);
  assert.equal(proxy.asked.get("/v1/connect"), connections);
  assert.ok(proxy.asked.get("/v1/events") > 0);
  assert.equal(proxy.asked.get("/v1/poll"), undefined);
});

test("a stream that breaks goes on where it was, and nobody sees it", { timeout }, async () => {
  const people = await pairAcross({});
  const asked = (path) => proxy.asked.get(path);
  const [streams, connections] = [asked("/v1/events"), asked("/v1/connect")];
  proxy.cutStreams();
  await eventually("another stream", () => assert.ok(asked("/v1/events") > streams));
  await talk(people);
  assert.equal(asked("/v1/connect"), connections);
});

test("who closes the tab is gone at once without a WebSocket, too", { timeout }, async () => {
  const { ada, grace } = await pairAcross({});
  await ada.closesTab();
  // Far below the half minute after which nobody asks any more.
  await grace.tile("Ada").waitFor({ state: "detached", timeout: 15_000 });
});

test("where streams are held back too, held requests carry the call", { timeout }, async () => {
  const people = await pairAcross({ streams: false });
  await talk(people);
  assert.ok(proxy.asked.get("/v1/poll") > 0);
});

test("where nobody may wait for an answer, polls carry the call", { timeout }, async () => {
  const people = await pairAcross({ streams: false, patience: 1_000 });
  await talk(people);
  assert.ok(proxy.asked.get("/v1/poll") > 3);
});

test("once WebSockets pass again, the session goes back to one", { timeout }, async () => {
  const people = await pairAcross({});
  const session = () => stage.server.metric("peerage_sessions");
  const sessions = await session();
  proxy.sockets = true;
  const made = await people.ada.socketsMade();
  await eventually(
    "another WebSocket",
    async () => assert.ok((await people.ada.socketsMade()) >= made + 2),
    { within: 60_000 },
  );
  const asked = proxy.asked.get("/v1/messages");
  await talk(people);
  assert.equal(proxy.asked.get("/v1/messages"), asked);
  assert.equal(await session(), sessions);
});
