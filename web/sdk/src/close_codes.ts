import { ConnectionError } from "./errors.js";
import type { TransportEnd } from "./transport.js";

/** @internal The end of a connection as the server tells of it. */
export interface Closed {
  readonly code: number;
  readonly reason: string;
  readonly advice?: string;
  readonly after_ms?: number;
  readonly url?: string;
}

/** What to do where nobody has given advice: what is on the way closes WebSockets, too. */
const FINAL: ReadonlySet<number> = new Set([1000, 1002, 1003, 1007, 1009]);

const MEANINGS: ReadonlyMap<string, string> = new Map([
  ["bye", "the session has ended"],
  ["binary", "the server takes no binary messages"],
  ["too_long", "a message was too long"],
  ["broken_protocol", "the server does not understand this client"],
]);

/** @internal What the server says of an end. */
export function endOf({ code, reason, advice, after_ms, url }: Closed): TransportEnd {
  return { code, reason, advice, afterMs: after_ms, url };
}

/** @internal The end of a WebSocket. Its reason is JSON where the server gives it. */
export function webSocketEnd(code: number, text: string): TransportEnd {
  try {
    const told = JSON.parse(text) as Partial<Closed>;
    return endOf({ ...told, code, reason: told.reason ?? text });
  } catch {
    return { code, reason: text };
  }
}

/** @internal What to do after an end. */
export function adviceOf({ code, advice }: TransportEnd): string {
  return advice ?? (FINAL.has(code) ? "never" : "retry");
}

/** @internal The error of an end after which the client is not to come back. */
export function finalError({ code, reason }: TransportEnd, said: string): ConnectionError {
  if (reason === "replaced") {
    return new ConnectionError("session_replaced", "another connection carries this session now");
  }
  if (reason === "revoked") {
    return new ConnectionError("revoked", "access has been taken back");
  }
  const meaning = MEANINGS.get(reason) ?? `closed with ${code}`;
  return new ConnectionError("connection_refused", said === "" ? meaning : `${meaning}: ${said}`);
}
