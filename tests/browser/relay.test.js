import assert from "node:assert/strict";
import { test } from "node:test";
import { startBrowser } from "./browser.js";
import { eventually, grows } from "./eventually.js";
import { Server } from "./server.js";
import { Stage } from "./stage.js";

const stage = await Stage.forThisFile();
const timeout = 90_000;

async function assertRelayed(person, other) {
  const [{ local, remote }] = await person.statistics();
  assert.deepEqual({ local, remote }, { local: "relay", remote: "relay" });
  await person.badge(other).getByText("Relayed").waitFor();
}

test(
  "two people who use the relay see, hear and read each other through it",
  { timeout },
  async () => {
    const { ada, grace } = await stage.pair({ relayOnly: true });
    await ada.seesMovement("Grace");
    await grace.seesMovement("Ada");
    await ada.says("This takes a detour.");
    await grace.reads("This takes a detour.");
    await assertRelayed(ada, "Grace");
    await assertRelayed(grace, "Ada");
  },
);

test(
  "the counters of the relay grow with a relayed call, and its allocations end with it",
  { timeout },
  async () => {
    const metric = (name) => stage.server.metric(`peerage_turn_${name}`);
    // A tab of an earlier test that was closed at once may have left its allocation to expire.
    const earlier = await metric("allocations");
    const made = await metric("allocations_made_total");
    const { ada, grace } = await stage.pair({ relayOnly: true });
    assert.ok((await metric("allocations_made_total")) >= made + 2);
    for (const direction of ["to_peers", "to_clients"]) {
      await grows(`what is relayed ${direction}`, () => metric(`bytes_${direction}_total`), 50_000);
      await grows(`what is relayed ${direction}`, () => metric(`packets_${direction}_total`), 50);
    }
    await ada.leaves();
    await grace.leaves();
    await eventually("the allocations end", async () => {
      assert.ok((await metric("allocations")) <= earlier);
    });
  },
);

test("a direct call leaves the counters of the relay where they are", { timeout }, async () => {
  const { ada } = await stage.pair();
  const relayed = () => stage.server.metric("peerage_turn_bytes_to_peers_total");
  const before = await relayed();
  await grows("the frames of the direct call", () => ada.least("framesDecoded"), 45);
  // Checks of the connection may still pass; media would be a hundred times as much.
  assert.ok((await relayed()) - before < 5_000);
});

test("one who uses the relay and one who does not meet on the relay", { timeout }, async () => {
  const room = stage.newRoom();
  const ada = await stage.enter("Ada", { room, relayOnly: true });
  const grace = await stage.enter("Grace", { room });
  await Promise.all([ada.receivesMedia(), grace.receivesMedia()]);
  const [{ local }] = await ada.statistics();
  assert.equal(local, "relay");
  await ada.badge("Grace").getByText("Relayed").waitFor();
  await grace.badge("Ada").getByText("Relayed").waitFor();
});

test("where only TCP passes, two people meet on the relay by TCP", { timeout }, async () => {
  const server = await Server.start({ turn: ["tcp"] });
  try {
    const { ada, grace } = await stage.pair({ relayOnly: true, url: server.url });
    await ada.seesMovement("Grace");
    await grace.seesMovement("Ada");
    await assertRelayed(ada, "Grace");
    assert.ok((await server.metric("peerage_turn_connections")) >= 2);
    // Before the server goes, which the pages would notice.
    await Promise.all([ada.leaves(), grace.leaves()]);
  } finally {
    await server.close();
  }
});

test("where only TLS passes, two people meet on the relay by TLS", { timeout }, async () => {
  const server = await Server.start({ turn: ["tls"] });
  // The certificate is of a CA that this browser has never heard of.
  const browser = await startBrowser({ flags: ["--ignore-certificate-errors"] });
  try {
    const { ada, grace } = await stage.pair({ relayOnly: true, url: server.url, browser });
    await ada.seesMovement("Grace");
    await grace.seesMovement("Ada");
    await assertRelayed(ada, "Grace");
    assert.ok((await server.metric("peerage_turn_connections")) >= 2);
    await Promise.all([ada.leaves(), grace.leaves()]);
  } finally {
    await browser.close();
    await server.close();
  }
});

test("the choice of the relay is remembered", { timeout }, async () => {
  const room = stage.newRoom();
  const ada = await stage.enter("Ada", { room, relayOnly: true });
  const again = await stage.open("Ada", { room, context: ada.context });
  assert.equal(await again.page.getByLabel("Always use the relay").isChecked(), true);
  assert.equal(await again.page.getByLabel("Your name").inputValue(), "Ada");
});

test("without a relay nobody who insists on one gets a path", { timeout }, async () => {
  const bare = await Server.start({ turn: [] });
  try {
    const room = stage.newRoom();
    const url = bare.url;
    const ada = await stage.enter("Ada", { room, url, relayOnly: true });
    const grace = await stage.enter("Grace", { room, url, relayOnly: true });
    for (const person of [ada, grace]) {
      await eventually(`${person.name} has looked for candidates`, async () => {
        const [connection] = await person.statistics();
        assert.equal(connection?.gathering, "complete");
      });
      const [connection] = await person.statistics();
      assert.equal(connection.localCandidates, 0);
      assert.notEqual(connection.state, "connected");
    }
    await ada.tile("Grace").getByText("connecting…").waitFor();
    // Before the server goes, which the pages would notice.
    await Promise.all([ada.leaves(), grace.leaves()]);
  } finally {
    await bare.close();
  }
});
