import type { Reading } from "./requests.js";

/** What carries the messages to the server. */
export type TransportName = "websocket" | Reading;

/** How a relay is spoken to. */
export type RelayTransport = "udp" | "tcp" | "tls";

/** What became of one part of the test. */
export interface Check {
  /** `untested` where there was nothing to test, or no way to. */
  readonly outcome: "passed" | "failed" | "untested";
  /** Why it has not passed, in words. */
  readonly reason: string | undefined;
  /** The round trip in milliseconds, where it was measured. */
  readonly roundTripMs: number | undefined;
}

/**
 * The best path that calls can take from here: directly between the two sides, by a relay over UDP,
 * TCP or TLS, or none, be it that the server can be reached all the same or that it cannot.
 */
export type PathVerdict =
  "direct" | "relay-udp" | "relay-tcp" | "relay-tls" | "signaling-only" | "offline";

/** What {@link Client.diagnose} has found out. */
export interface Diagnosis {
  /** The best path that calls can take. */
  readonly verdict: PathVerdict;
  /** Why, in words for people. */
  readonly reason: string;
  /** Whether the server can be reached, for each way of carrying messages. */
  readonly transports: Readonly<Record<TransportName, Check>>;
  /** Whether a STUN server answers over UDP: only then direct paths through NATs are to be had. */
  readonly stun: Check;
  /** Whether bytes come back that were sent by way of a relay. */
  readonly relays: Readonly<Record<RelayTransport, Check>>;
  /** The round trip to the server in milliseconds, over the best transport that passes. */
  readonly roundTripMs: number | undefined;
}

/** @internal What the verdict is about. */
export type Findings = Omit<Diagnosis, "verdict" | "reason" | "roundTripMs">;

/** @internal The path that calls can take, and why; `relayOnly` where the caller allows no other. */
export function judge(
  { transports, stun, relays }: Findings,
  relayOnly: boolean,
): Pick<Diagnosis, "verdict" | "reason"> {
  if (!Object.values(transports).some(passed)) {
    const why = transports.websocket.reason ?? "nothing answers";
    return { verdict: "offline", reason: `The server cannot be reached: ${why}.` };
  }
  const relay = (["udp", "tcp", "tls"] as const).find((each) => passed(relays[each]));
  if (passed(stun) && !relayOnly) {
    const but = relay ? "" : " Where no direct path is found, no relay helps.";
    return { verdict: "direct", reason: `UDP passes, so calls can flow directly.${but}` };
  }
  if (relay === undefined) return { verdict: "signaling-only", reason: withoutMedia(relays) };
  return { verdict: `relay-${relay}`, reason: relayed(relay, stun, relayOnly) };
}

function relayed(relay: RelayTransport, stun: Check, relayOnly: boolean): string {
  const by = `the relay can be used over ${relay.toUpperCase()}`;
  if (relay === "udp") {
    const why = relayOnly ? "Relays alone may be used" : `No direct path (${stun.reason ?? ""})`;
    return `${why}; ${by}.`;
  }
  const what = relay === "tcp" ? "UDP does not pass" : "Neither UDP nor plain TCP passes";
  return `${what}; ${by}.`;
}

function withoutMedia(relays: Findings["relays"]): string {
  const offers = Object.values(relays).some(({ outcome }) => outcome !== "untested");
  const what = offers ? "UDP does not pass and no relay can be used" : "There is no relay to use";
  return `The server can be reached, but ${what[0]?.toLowerCase() ?? ""}${what.slice(1)}: calls would have neither sound nor pictures.`;
}

function passed({ outcome }: Check): boolean {
  return outcome === "passed";
}
