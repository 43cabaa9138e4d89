import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { Stage } from "./stage.js";

// Where the relay is for the members of a room, and for nothing else.
const configuration = '[turn]\npeer_policy = "room"\n';
const stage = await Stage.forThisFile({ server: { turn: ["udp", "tcp"], configuration } });
const timeout = 90_000;

async function assertRelayed(person, other) {
  const [{ local, remote }] = await person.statistics();
  assert.deepEqual({ local, remote }, { local: "relay", remote: "relay" });
  await person.badge(other).getByText("Relayed").waitFor();
}

test("in a room, two who use the relay have their call through it", { timeout }, async () => {
  const { ada, grace } = await stage.pair({ relayOnly: true });
  await assertRelayed(ada, "Grace");
  await assertRelayed(grace, "Ada");
});

test("and so have two in a sealed room, which the server cannot read", { timeout }, async () => {
  const room = `${stage.newRoom()}:${randomBytes(16).toString("base64url")}`;
  const ada = await stage.enter("Ada", { room, relayOnly: true });
  const grace = await stage.enter("Grace", { room, relayOnly: true });
  await Promise.all([ada.receivesMedia(), grace.receivesMedia()]);
  await assertRelayed(ada, "Grace");
  await assertRelayed(grace, "Ada");
});

test("one who uses the relay meets one who does not", { timeout }, async () => {
  const room = stage.newRoom();
  const ada = await stage.enter("Ada", { room, relayOnly: true });
  const grace = await stage.enter("Grace", { room });
  await Promise.all([ada.receivesMedia(), grace.receivesMedia()]);
  await ada.badge("Grace").getByText("Relayed").waitFor();
});

test("the check of the connection finds the relay before anybody is met", { timeout }, async () => {
  const ada = await stage.open("Ada", { room: stage.newRoom() });
  await ada.page.getByText("Connection", { exact: true }).click();
  await ada.button("Check connection").click();
  const result = ada.page.getByRole("region", { name: "Connection" });
  await result.waitFor();
  const outcome = (name) =>
    result.locator(".connection-finding").filter({ hasText: name }).getAttribute("data-outcome");
  assert.equal(await outcome("Relay over UDP"), "passed");
  assert.equal(await outcome("Relay over TCP"), "passed");
});
