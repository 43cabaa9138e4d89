import assert from "node:assert/strict";
import { test } from "node:test";
import { alone, skip, TCP, UDP } from "./behind_nats.js";
import { sidewaysOverflow } from "./in_page.js";
import { Server } from "./server.js";
import { Stage } from "./stage.js";

// The relay's certificate is of the server's own making, and nobody has signed it.
const stage = await Stage.forThisFile({
  server: { turn: ["udp", "tcp", "tls"] },
  browser: { flags: ["--ignore-certificate-errors"] },
});
const timeout = 90_000;
const STUN_OF_NOBODY = [/STUN|TURN|ICE/];

/** Has the connection checked, and hands on what the page says of it. */
async function check(person) {
  await person.page.getByText("Connection", { exact: true }).click();
  await person.button("Check connection").click();
  const result = person.page.getByRole("region", { name: "Connection" });
  await result.waitFor();
  const findings = await result.locator(".connection-finding").evaluateAll((all) => {
    return Object.fromEntries(
      all.map((each) => [each.querySelector("dt").textContent, each.dataset.outcome]),
    );
  });
  return { verdict: await result.getAttribute("data-verdict"), findings };
}

const REACHABLE = {
  WebSocket: "passed",
  "Event stream": "passed",
  "Long poll": "passed",
  Poll: "passed",
};

test("where everything passes, the check says so, and fits every screen", { timeout }, async () => {
  for (const [width, height] of [
    [1280, 800],
    [360, 740],
  ]) {
    const viewport = { width, height };
    const ada = await stage.open("Ada", { room: stage.newRoom(), viewport });
    const { verdict, findings } = await check(ada);
    assert.equal(verdict, "direct");
    assert.deepEqual(findings, {
      ...REACHABLE,
      "STUN over UDP": "passed",
      "Relay over UDP": "passed",
      "Relay over TCP": "passed",
      "Relay over TLS": "passed",
    });
    const { scroll, outside } = await ada.page.evaluate(sidewaysOverflow);
    assert.deepEqual({ scroll, outside }, { scroll: 0, outside: [] });
  }
});

test("where UDP is blocked, the check finds the relay over TCP", { timeout, skip }, async () => {
  const options = { kind: "udp-blocked", turn: [UDP, TCP], expected: STUN_OF_NOBODY };
  await alone(options, async (ada) => {
    const { verdict, findings } = await check(ada);
    assert.equal(verdict, "relay-tcp");
    assert.deepEqual(findings, {
      ...REACHABLE,
      "STUN over UDP": "failed",
      "Relay over UDP": "failed",
      "Relay over TCP": "passed",
      "Relay over TLS": "untested",
    });
  });
});

test("without a relay or STUN, the check says what is missing", { timeout }, async () => {
  const bare = await Server.start({ turn: [] });
  try {
    const ada = await stage.open("Ada", { room: stage.newRoom(), url: bare.url });
    const { verdict, findings } = await check(ada);
    assert.equal(verdict, "signaling-only");
    assert.equal(findings["Relay over UDP"], "untested");
    await ada.context.close();
  } finally {
    await bare.close();
  }
});
