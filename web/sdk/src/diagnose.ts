import {
  type Check,
  type Diagnosis,
  type Findings,
  judge,
  type RelayTransport,
} from "./diagnosis.js";
import type { TransportName } from "./diagnosis.js";
import type { AccessToken } from "./connection.js";
import { asError } from "./errors.js";
import { greet, type Greeting } from "./greeting.js";
import { checkRelay, checkStun, type CreateConnection } from "./ice_check.js";
import { startTimer, stopTimer } from "./timers.js";
import type { TransportFactory } from "./transport.js";

/** How a connection test is run. */
export interface DiagnoseOptions {
  /** Ends the test early; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** How long the test takes at most, in milliseconds. Default: 10,000. */
  readonly within?: number;
}

/** @internal What a connection test is about. */
export interface Subject {
  readonly url: string;
  readonly hello: object;
  /** Shown with the hello, where the server asks for one. */
  readonly accessToken?: AccessToken | undefined;
  readonly transports: Readonly<Record<TransportName, TransportFactory>>;
  readonly createConnection: CreateConnection;
  readonly relayOnly: boolean;
}

const WITHIN = 10_000;
/** The transports, the best one first. */
const NAMES: readonly TransportName[] = ["websocket", "events", "held", "polls"];
/** So many addresses of one kind are tried at most. */
const MOST_SERVERS = 2;
const UNTESTED: Check = { outcome: "untested", reason: undefined, roundTripMs: undefined };

/** @internal Finds out what the network lets pass. */
export async function diagnose(
  subject: Subject,
  { signal, within = WITHIN }: DiagnoseOptions,
): Promise<Diagnosis> {
  signal?.throwIfAborted();
  const late = new AbortController();
  const silence = new Error(`nothing came within ${within / 1_000} s`);
  const timer = startTimer(() => late.abort(silence), within);
  try {
    const findings = await find(
      subject,
      AbortSignal.any([late.signal, ...(signal ? [signal] : [])]),
    );
    signal?.throwIfAborted();
    const best = NAMES.find((name) => findings.transports[name].outcome === "passed");
    const roundTripMs = best && findings.transports[best].roundTripMs;
    return { ...judge(findings, subject.relayOnly), ...findings, roundTripMs };
  } finally {
    stopTimer(timer);
  }
}

async function find(subject: Subject, signal: AbortSignal): Promise<Findings> {
  const hello = helloOf(subject, signal);
  const greetings = NAMES.map(async (name) => {
    const said = hello instanceof Promise ? await hello : hello;
    return greet(subject.transports[name], subject.url, said, signal);
  });
  const first = Promise.any(greetings).catch(() => undefined);
  const ice = first.then((greeting) => findIce(subject, greeting, signal));
  const checks = await Promise.all(
    greetings.map((greeting) => check(greeting.then(({ roundTripMs }) => roundTripMs))),
  );
  const found = await ice;
  // Not before the relays are done with: who has no session may have no relay either.
  for (const each of greetings) each.then((greeting) => greeting.end()).catch(() => undefined);
  const [websocket = UNTESTED, events = UNTESTED, held = UNTESTED, polls = UNTESTED] = checks;
  // Most of it is the pause between two polls.
  const unmeasured = { ...polls, roundTripMs: undefined };
  return { transports: { websocket, events, held, polls: unmeasured }, ...found };
}

/** What is said first, with the access token, which may have to be got. */
function helloOf({ hello, accessToken }: Subject, signal: AbortSignal): object | Promise<object> {
  if (accessToken === undefined) return hello;
  if (typeof accessToken === "string") return { ...hello, access_token: accessToken };
  const late = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(asError(signal.reason)), { once: true });
  });
  const token = Promise.resolve().then(accessToken);
  return Promise.race([token, late]).then((access_token) => ({ ...hello, access_token }));
}

async function findIce(
  { createConnection }: Subject,
  greeting: Greeting | undefined,
  signal: AbortSignal,
): Promise<Omit<Findings, "transports">> {
  const servers = (greeting?.welcome.ice_servers ?? []).flatMap(single);
  const stunUrls = servers.map(urlOf).filter((url) => url.startsWith("stun:"));
  const relay = (transport: RelayTransport) => {
    const some = servers.filter((server) => relayTransport(urlOf(server)) === transport);
    if (some.length === 0) return UNTESTED;
    const tried = some.slice(0, MOST_SERVERS);
    return check(first(tried.map((server) => checkRelay(createConnection, server, signal))));
  };
  const [stun, udp, tcp, tls] = await Promise.all([
    stunUrls.length === 0 ? UNTESTED : check(checkStun(createConnection, stunUrls, signal)),
    relay("udp"),
    relay("tcp"),
    relay("tls"),
  ]);
  return { stun, relays: { udp, tcp, tls } };
}

/** The first to succeed, or else what was wrong with the first. */
async function first<T>(attempts: readonly Promise<T>[]): Promise<T> {
  try {
    return await Promise.any(attempts);
  } catch (error) {
    throw error instanceof AggregateError ? error.errors[0] : error;
  }
}

async function check(attempt: Promise<number | undefined>): Promise<Check> {
  try {
    return { outcome: "passed", reason: undefined, roundTripMs: await attempt };
  } catch (error) {
    return { outcome: "failed", reason: asError(error).message, roundTripMs: undefined };
  }
}

/** A server for each of its addresses. */
function single(server: RTCIceServer): RTCIceServer[] {
  return [server.urls].flat().map((urls) => ({ ...server, urls }));
}

function urlOf(server: RTCIceServer): string {
  return server.urls as string;
}

function relayTransport(url: string): RelayTransport | undefined {
  const overTcp = url.includes("transport=tcp");
  if (url.startsWith("turns:")) return overTcp || !url.includes("transport=") ? "tls" : undefined;
  if (!url.startsWith("turn:")) return undefined;
  return overTcp ? "tcp" : "udp";
}
