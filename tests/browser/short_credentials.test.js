import assert from "node:assert/strict";
import { test } from "node:test";
import { grows } from "./eventually.js";
import { Stage } from "./stage.js";

const CALL = 60_000;
const ROUND = 5_000;

const configuration = '[turn]\ncredential_lifetime = "10s"\nstrict_expiry = true\n';
const stage = await Stage.forThisFile({ server: { configuration } });

/** Runs in the page: the names that the relay knows it by, each with its end in Unix seconds. */
function relayNames() {
  const [connection] = window.__connections;
  const servers = connection.getConfiguration().iceServers;
  return servers.flatMap(({ username }) => (username ? [username] : []));
}

test(
  "a relayed call outlives the credentials that it began with, many times over",
  { timeout: 180_000 },
  async () => {
    const { ada, grace } = await stage.pair({ relayOnly: true });
    const made = () => stage.server.metric("peerage_turn_allocations_made_total");
    const before = await made();
    const names = new Set();
    const began = Date.now();
    while (Date.now() - began < CALL) {
      for (const person of [ada, grace]) {
        await grows(`the frames of ${person.name}`, () => person.least("framesDecoded"), 15);
        for (const name of await person.page.evaluate(relayNames)) names.add(name);
      }
      await new Promise((resolve) => setTimeout(resolve, ROUND));
    }
    for (const person of [ada, grace]) {
      const [{ state, local, remote }] = await person.statistics();
      assert.deepEqual({ state, local }, { state: "connected", local: "relay" });
      assert.ok(["relay", "prflx"].includes(remote), remote);
      assert.equal(await person.connectionsMade(), 1);
    }
    // Each side gets new ones after six to eight seconds, and has another allocation made with
    // them: one that was asked for with the first would be refused.
    assert.ok(names.size >= 8, `${names.size} names in a minute`);
    assert.ok((await made()) - before >= 6, `${(await made()) - before} allocations`);
    await ada.says("Still here.");
    await grace.reads("Still here.");
  },
);
