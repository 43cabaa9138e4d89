import assert from "node:assert/strict";
import { after, test } from "node:test";
import { startBrowser } from "./browser.js";
import { CuttableProxy } from "./cuttable_proxy.js";
import { FirefoxPerson, startFirefox } from "./firefox.js";
import { Person, WITHOUT_SERVER } from "./person.js";
import { machineAddress, Server } from "./server.js";

const timeout = 90_000;

// What is open, in the order in which it was opened.
const open = [];
after(async () => {
  for (const each of open.reverse()) await each.close();
});

async function opened(promise) {
  const it = await promise;
  open.push(it);
  return it;
}

/** A server with a certificate of the local CA, which makes what the others show. */
const first = await opened(Server.start({ turn: ["udp", "tcp", "tls"] }));
const firefox = await opened(startFirefox({ authority: first.stateFile("ca.pem") }));
// Chromium does without the CA.
const chromium = await opened(startBrowser({ flags: ["--ignore-certificate-errors"] }));

/** A key, as the page makes them. */
const KEY = "wq3xR0b2Yk9uPz5sLd7TgA";

/** The two have negotiated by way of a server that could read nothing of it. */
function assertSealed(signaled) {
  for (const type of ["offer", "answer", "candidate"]) {
    assert.match(signaled, new RegExp(`"type":"${type}"`));
  }
  for (const secret of [KEY, "Grace", "fingerprint", "ice-ufrag", "candidate:"]) {
    assert.ok(!signaled.includes(secret), `${secret} went by way of the server`);
  }
}

/** Ada with Firefox and Grace with Chromium, in a sealed room, who both insist on the relay. */
async function call(server, check) {
  const room = `firefox-${server.port}:${KEY}`;
  const ada = await FirefoxPerson.open(firefox, server.url, { name: "Ada", room });
  const grace = await Person.open(chromium, server.url, { name: "Grace", room });
  try {
    const signaled = [];
    grace.page.on("websocket", (socket) => {
      socket.on("framesent", ({ payload }) => signaled.push(String(payload)));
      socket.on("framereceived", ({ payload }) => signaled.push(String(payload)));
    });
    await ada.join({ relayOnly: true });
    await grace.join({ relayOnly: true });
    await Promise.all([ada.receivesMedia(), grace.receivesMedia()]);
    await ada.says("Does this reach you?");
    await grace.reads("Does this reach you?");
    await grace.says("By way of the relay.");
    await ada.reads("By way of the relay.");
    assertSealed(signaled.join("\n"));
    for (const person of [ada, grace]) {
      const [{ local, remote }] = await person.statistics();
      assert.equal(local, "relay");
      // Peer-reflexive where its packets were here before the word of it.
      assert.ok(["relay", "prflx"].includes(remote), remote);
    }
    await check((await ada.statistics())[0]);
    for (const person of [ada, grace]) {
      await person.assertFaultless();
      await person.leaves();
    }
  } finally {
    await ada.context.close();
    await grace.context.close();
  }
}

test(
  "Firefox and Chromium stay in a call whose signaling breaks again and again",
  { timeout: 240_000 },
  async () => {
    const server = await opened(Server.start());
    const proxy = await opened(CuttableProxy.before(server));
    const room = "firefox-faults";
    const expected = [...WITHOUT_SERVER, /Failed to load resource/];
    const ada = await FirefoxPerson.open(firefox, proxy.url, { name: "Ada", room });
    const grace = await Person.open(chromium, proxy.url, { name: "Grace", room, expected });
    try {
      await grace.join();
      // While the two are getting to know each other.
      const joining = ada.join();
      for (let faults = 0; faults < 3; faults += 1) {
        await new Promise((resolve) => setTimeout(resolve, 150));
        proxy.cut();
        proxy.mend();
      }
      await joining;
      await Promise.all([ada.receivesMedia(), grace.receivesMedia()]);
      const made = await grace.connectionsMade();
      proxy.cut();
      await ada.says("The server is gone, we are not.");
      await grace.reads("The server is gone, we are not.");
      await grace.button("Microphone").click();
      proxy.mend();
      const muted = "::-p-xpath(//*[@aria-label='Muted'])";
      await ada.page.waitForSelector(muted, { timeout: 60_000 });
      proxy.silence();
      proxy.mend();
      await grace.button("Microphone").click();
      // A ping after ten seconds, given up five later.
      await ada.page.waitForSelector(muted, { hidden: true, timeout: 60_000 });
      await Promise.all([ada.receivesMedia(), grace.receivesMedia()]);
      assert.equal(await grace.connectionsMade(), made);
      await grace.assertFaultless();
    } finally {
      await ada.context.close();
      await grace.context.close();
    }
  },
);

test("Firefox meets Chromium on a relay over UDP", { timeout }, async () => {
  // It is told of TCP and TLS, too. TLS it takes by a name only, and this is an address: that must
  // not keep it from the others.
  await call(first, ({ relayProtocol }) => assert.equal(relayProtocol, "udp"));
});

test("Firefox meets Chromium on a relay over TCP", { timeout }, async () => {
  const server = await Server.start({ turn: ["tcp"] });
  try {
    await call(server, ({ relayProtocol }) => assert.equal(relayProtocol, "tcp"));
  } finally {
    await server.close();
  }
});

test("Firefox meets Chromium on a relay over TLS", { timeout }, async () => {
  const configuration = `
    [http]
    public_url = "https://localhost"
    [http.tls]
    certificate = "${first.stateFile("certificate.pem")}"
    key = "${first.stateFile("certificate-key.pem")}"
    [turn]
    relay_addresses = ["${machineAddress()}"]
    `;
  const listeners = { http: "127.0.0.1:0", turnListeners: "tls://127.0.0.1:0" };
  const server = await Server.start({ listeners, configuration });
  try {
    await call(server, async ({ relayProtocol }) => {
      assert.equal(relayProtocol, "tls");
      assert.ok((await server.metric("peerage_turn_connections")) >= 2);
    });
  } finally {
    await server.close();
  }
});
