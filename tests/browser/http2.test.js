import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "./eventually.js";
import { machineAddress } from "./server.js";
import { Stage } from "./stage.js";

const stage = await Stage.forThisFile({
  server: {
    listeners: {
      http: "",
      https: "127.0.0.1:0",
      turnListeners: `udp://${machineAddress()}:0`,
    },
  },
  browser: { flags: ["--ignore-certificate-errors"] },
});
const timeout = 120_000;

/** What the browser says of the WebSockets that a tab opens from now on: the statuses. */
async function watchWebSockets(page) {
  const statuses = [];
  const session = await page.context().newCDPSession(page);
  session.on("Network.webSocketHandshakeResponseReceived", ({ response }) => {
    statuses.push(response.status);
  });
  await session.send("Network.enable");
  return statuses;
}

test("page, signaling and a call go over HTTP/2", { timeout }, async () => {
  const room = stage.newRoom();
  const ada = await stage.open("Ada", { room });
  const statuses = await watchWebSockets(ada.page);
  await ada.join();
  const grace = await stage.enter("Grace", { room });
  await Promise.all([ada.sees("Grace"), grace.sees("Ada")]);
  await Promise.all([ada.receivesMedia(), grace.receivesMedia()]);
  const protocols = await ada.page.evaluate(() =>
    ["navigation", "resource"]
      .flatMap((kind) => performance.getEntriesByType(kind))
      .map(({ nextHopProtocol }) => nextHopProtocol)
      .filter((protocol) => protocol !== ""),
  );
  assert.ok(protocols.length > 1, "the page has loaded something");
  assert.deepEqual([...new Set(protocols)], ["h2"]);
  // What HTTP/1.1 answers with 101, HTTP/2 does with 200 (RFC 8441).
  await eventually("a WebSocket is open", () => assert.ok(statuses.length > 0));
  assert.deepEqual([...new Set(statuses)], [200]);
});

test("events and polls go over HTTP/2", { timeout }, async () => {
  const ada = await stage.open("Ada", {});
  const told = await ada.page.evaluate(async () => {
    const hello = JSON.stringify({ type: "hello", version: 1 });
    const answer = await fetch("/v1/connect", { method: "POST", body: hello });
    const { connection, ticket, cursor } = await answer.json();
    const headers = { authorization: `Bearer ${connection}` };
    const say = (message) =>
      fetch("/v1/messages", { method: "POST", headers, body: JSON.stringify(message) });
    const events = new EventSource(`/v1/events?ticket=${ticket}&cursor=${cursor}`);
    const heard = new Promise((resolve, reject) => {
      events.onmessage = ({ data }) => resolve(JSON.parse(data).type);
      events.onerror = () => reject(new Error("the stream broke"));
    });
    await say({ type: "join", id: 1, room: "over-http-2" });
    const first = await heard;
    events.close();
    await say({ type: "leave", id: 2, room: "over-http-2" });
    const poll = await fetch(`/v1/poll?cursor=${cursor + 1}&wait=25`, { headers });
    const second = (await poll.json()).messages[0].type;
    await say({ type: "bye" });
    const requests = performance.getEntriesByType("resource");
    const paths = requests.filter(({ name }) => name.includes("/v1/"));
    const protocols = paths.map(({ nextHopProtocol }) => nextHopProtocol);
    return { first, second, protocols: [...new Set(protocols)] };
  });
  assert.deepEqual(told, { first: "joined", second: "left", protocols: ["h2"] });
});
