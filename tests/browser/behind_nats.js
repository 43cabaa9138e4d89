import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { startBrowser } from "./browser.js";
import { Person } from "./person.js";
import { Server } from "./server.js";

const SCRIPT = join(import.meta.dirname, "..", "nat", "network.sh");
const NAME = `peerage-browser-${process.pid}`;
// Signaling and TURN over TCP have an address each, so that both are on port 443.
const HTTP = "5.0.0.1:443";
const HTTP_BY_IPV6 = "[2a01::1]:443";
export const UDP = "udp://5.0.0.1:3478";
export const UDP_BY_IPV6 = "udp://[2a01::1]:3478";
export const TCP = "tcp://5.0.0.2:443";
const ROOM = "between-nats";

/** Why such tests cannot run here, if they cannot. */
export const skip = process.getuid() !== 0 && "SKIPPED: network namespaces need root";
if (skip) console.error(skip);

/** Carries out a command of the script, which lays networks and says what kinds there are. */
export function network(command, ...operands) {
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
export async function withCall(
  { kinds, turn = [UDP, TCP], https, relayOnly = false, expected },
  body,
) {
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
      people.push(await Person.open(browser, url, { name, room: ROOM, expected }));
      await people.at(-1).join({ relayOnly });
    }
    const [ada, grace] = people;
    await flows(ada, grace);
    await body(ada, grace, server);
    for (const person of people) await person.assertFaultless();
  } finally {
    for (const each of open.reverse()) await each.close();
    network("remove");
  }
}

/** Waits until the two see and hear each other. */
export async function flows(ada, grace) {
  await Promise.all([ada.sees("Grace"), grace.sees("Ada")]);
  await Promise.all([
    ada.receivesMedia({ within: 40_000 }),
    grace.receivesMedia({ within: 40_000 }),
  ]);
}

export async function talk(ada, grace, text) {
  await ada.says(text);
  await grace.reads(text);
}

/** Ada in the lobby behind a NAT of that kind. */
export async function alone({ kind, turn, expected }, body) {
  const open = [];
  try {
    network("lay", kind, kind);
    const listeners = { http: HTTP, turnListeners: turn.join() };
    open.push(await Server.start({ space: `${NAME}-internet`, listeners }));
    const url = `http://${HTTP}`;
    const flags = [`--unsafely-treat-insecure-origin-as-secure=${url}`];
    const browser = await startBrowser({ space: `${NAME}-peer-a`, flags });
    open.push(browser);
    const ada = await Person.open(browser, url, { name: "Ada", room: ROOM, expected });
    await body(ada);
    await ada.assertFaultless();
  } finally {
    for (const each of open.reverse()) await each.close();
    network("remove");
  }
}
