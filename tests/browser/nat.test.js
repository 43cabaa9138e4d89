import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { startBrowser } from "./browser.js";
import { eventually } from "./eventually.js";
import { Person } from "./person.js";
import { Server } from "./server.js";

const SCRIPT = join(import.meta.dirname, "..", "nat", "network.sh");
const NAME = `peerage-browser-${process.pid}`;
// Signaling and TURN over TCP have an address each, so that both are on port 443.
const HTTP = "5.0.0.1:443";
const HTTP_BY_IPV6 = "[2a01::1]:443";
const UDP = "udp://5.0.0.1:3478";
const UDP_BY_IPV6 = "udp://[2a01::1]:3478";
const TCP = "tcp://5.0.0.2:443";
const ROOM = "between-nats";
const timeout = 120_000;

const skip = process.getuid() !== 0 && "SKIPPED: network namespaces need root";
if (skip) console.error(skip);

/** Carries out a command of the script, which lays networks and says what kinds there are. */
function network(command, ...operands) {
  const { status, stderr, error } = spawnSync(SCRIPT, [command, NAME, ...operands], {
    encoding: "utf8",
  });
  if (error) throw error;
  assert.equal(status, 0, stderr);
}

/**
 * Ada and Grace in a call, each in a browser of her own and behind a NAT of that kind. With `https`
 * the page is there, and not at `http`.
 */
async function withCall({ kinds, turn = [UDP, TCP], https, relayOnly = false }, body) {
  const open = [];
  try {
    network("lay", ...kinds);
    const web = https ? { https } : { http: [HTTP, HTTP_BY_IPV6].join() };
    const listeners = { ...web, turnListeners: turn.join() };
    const server = await Server.start({ space: `${NAME}-internet`, listeners });
    open.push(server);
    const people = [];
    for (const [name, side, kind] of [
      ["Ada", "a", kinds[0]],
      ["Grace", "b", kinds[1]],
    ]) {
      const host = kind === "ipv6" ? HTTP_BY_IPV6 : HTTP;
      const url = https ? `https://${https}` : `http://${host}`;
      // A camera needs an origin that the browser trusts.
      const trust = https
        ? "--ignore-certificate-errors"
        : `--unsafely-treat-insecure-origin-as-secure=${url}`;
      const browser = await startBrowser({ space: `${NAME}-peer-${side}`, flags: [trust] });
      open.push(browser);
      people.push(await Person.open(browser, url, { name, room: ROOM }));
      await people.at(-1).join({ relayOnly });
    }
    const [ada, grace] = people;
    await flows(ada, grace);
    await body(ada, grace);
    for (const person of people) await person.assertFaultless();
  } finally {
    for (const each of open.reverse()) await each.close();
    network("remove");
  }
}

async function flows(ada, grace) {
  await Promise.all([ada.sees("Grace"), grace.sees("Ada")]);
  await Promise.all([
    ada.receivesMedia({ within: 40_000 }),
    grace.receivesMedia({ within: 40_000 }),
  ]);
}

async function talk(ada, grace, text) {
  await ada.says(text);
  await grace.reads(text);
}

/** The pair of candidates that is used: what it is, from here. */
async function path(person) {
  const [{ local, remote, relayProtocol }] = await person.statistics();
  return { local, remote, relayProtocol };
}

test("two people behind port-restricted NATs talk directly", { timeout, skip }, async () => {
  await withCall({ kinds: ["port-restricted", "port-restricted"] }, async (ada, grace) => {
    await talk(ada, grace, "Straight through.");
    for (const person of [ada, grace]) {
      await eventually(`the path of ${person.name} is direct`, async () => {
        const { local, remote } = await path(person);
        assert.ok(local !== "relay" && remote !== "relay", `${local} to ${remote}`);
      });
    }
  });
});

test("who may only use TCP to port 443 is relayed", { timeout, skip }, async () => {
  await withCall({ kinds: ["udp-blocked", "symmetric"] }, async (ada, grace) => {
    await talk(ada, grace, "By the back door.");
    const { local, relayProtocol } = await path(ada);
    assert.deepEqual({ local, relayProtocol }, { local: "relay", relayProtocol: "tcp" });
  });
});

test("two people who may only use TCP to port 443 meet there", { timeout, skip }, async () => {
  await withCall({ kinds: ["udp-blocked", "udp-blocked"] }, async (ada, grace) => {
    await talk(ada, grace, "Nothing else is open.");
    for (const person of [ada, grace]) {
      const relayed = { local: "relay", remote: "relay", relayProtocol: "tcp" };
      assert.deepEqual(await path(person), relayed);
    }
  });
});

test(
  "one open port carries the page, the signaling and the media of two people",
  { timeout, skip },
  async () => {
    const kinds = ["udp-blocked", "udp-blocked"];
    await withCall({ kinds, turn: [UDP], https: "5.0.0.1:443" }, async (ada, grace) => {
      await talk(ada, grace, "All through one door.");
      for (const person of [ada, grace]) {
        const relayed = { local: "relay", remote: "relay", relayProtocol: "tls" };
        assert.deepEqual(await path(person), relayed);
      }
    });
  },
);

test("who only has IPv6 meets who only has IPv4 on the relay", { timeout, skip }, async () => {
  const kinds = ["ipv6", "port-restricted"];
  await withCall({ kinds, turn: [UDP, UDP_BY_IPV6] }, async (ada, grace) => {
    await talk(ada, grace, "Six to four.");
    for (const person of [ada, grace]) {
      const { local, remote, relayProtocol } = await path(person);
      assert.ok(local === "relay" || remote === "relay", `${local} to ${remote}`);
      assert.ok(local !== "relay" || relayProtocol === "udp");
    }
  });
});

test(
  "a relayed call is there again when a symmetric NAT has forgotten the way to the relay",
  { timeout, skip },
  async () => {
    const kinds = ["symmetric", "symmetric"];
    await withCall({ kinds, turn: [UDP], relayOnly: true }, async (ada, grace) => {
      const fragment = () => ada.page.evaluate(localFragment);
      const before = await fragment();
      network("forget", "a");
      // From its new port nobody has an allocation: only an ICE restart leads to another.
      await eventually(
        "ICE restarts",
        async () => {
          assert.notEqual(await fragment(), before);
        },
        { within: 40_000 },
      );
      await flows(ada, grace);
      await talk(ada, grace, "Where were we?");
      const { local, remote } = await path(ada);
      assert.deepEqual({ local, remote }, { local: "relay", remote: "relay" });
    });
  },
);

/** The name of the present generation of candidates, in the page. */
function localFragment() {
  const { localDescription } = window.__connections.at(-1);
  return /a=ice-ufrag:(\S+)/.exec(localDescription.sdp)[1];
}
