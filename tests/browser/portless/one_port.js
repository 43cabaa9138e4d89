import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { test } from "node:test";
import { eventually, grows } from "../eventually.js";
import { machineAddress } from "../server.js";
import { Stage } from "../stage.js";

const configuration = '[turn]\nrelay_ports = "none"\n';
const stage = await Stage.forThisFile({ server: { configuration } });

function nft(text) {
  const { status, stdout, stderr, error } = spawnSync("nft", ["-f", "-"], {
    input: text,
    encoding: "utf8",
  });
  if (error) throw error;
  assert.equal(status, 0, stderr);
  return stdout;
}

/** Lets UDP pass from and to the server's port alone. */
function closeAllOtherPorts() {
  const port = stage.server.turn.split(":").at(-1);
  nft(`table inet firewall {
    chain input {
      type filter hook input priority 0;
      udp dport ${port} accept
      udp sport ${port} accept
      meta l4proto udp counter drop
    }
  }`);
}

function dropped() {
  const { stdout } = spawnSync("nft", ["list", "table", "inet", "firewall"], { encoding: "utf8" });
  return Number(/counter packets (\d+)/.exec(stdout)?.[1]);
}

test("two people who may only relay are in a call", { timeout: 120_000 }, async () => {
  closeAllOtherPorts();
  const knocking = createSocket("udp4");
  knocking.send("anybody?", 9, machineAddress());
  await eventually("the firewall drops", () => assert.ok(dropped() > 0));
  knocking.close();

  const { ada, grace } = await stage.pair({ relayOnly: true });
  await ada.seesMovement("Grace");
  await grace.seesMovement("Ada");
  await ada.says("One port is enough.");
  await grace.reads("One port is enough.");
  const [{ local, remote }] = await ada.statistics();
  assert.deepEqual({ local, remote }, { local: "relay", remote: "relay" });
  const metric = (name) => stage.server.metric(`peerage_turn_${name}`);
  for (const direction of ["to_peers", "to_clients"]) {
    await grows(`what is relayed ${direction}`, () => metric(`packets_${direction}_total`), 50);
  }
});
