import assert from "node:assert/strict";
import { test } from "node:test";
import { flows, network, skip, talk, UDP, UDP_BY_IPV6, withCall } from "./behind_nats.js";
import { eventually } from "./eventually.js";

const timeout = 120_000;

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
