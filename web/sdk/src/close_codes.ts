import { ConnectionError } from "./errors.js";

/** Ends after which connecting again would only repeat the fault. */
const FINAL: ReadonlyMap<number, string> = new Map([
  [1000, "the session has ended"],
  [1003, "the server takes no binary messages"],
  [1009, "a message was too long"],
  [4400, "the server does not understand this client"],
]);

const REPLACED = 4409;
const REVOKED = 4410;

/** @internal The access token is missing, not good or expired: another one is needed. */
export const UNAUTHORIZED = 4403;

/** Ends that ask for a pause, in milliseconds. */
const PAUSES: ReadonlyMap<number, number> = new Map([
  [4429, 10_000],
  [4503, 5_000],
]);

/** @internal The error of an end that is final, or undefined where the client is to come back. */
export function finalError(code: number, said: string): ConnectionError | undefined {
  if (code === REPLACED) {
    return new ConnectionError("session_replaced", "another connection carries this session now");
  }
  if (code === REVOKED) {
    return new ConnectionError("revoked", "access has been taken back");
  }
  const meaning = FINAL.get(code);
  if (meaning === undefined) return undefined;
  return new ConnectionError("connection_refused", said === "" ? meaning : `${meaning}: ${said}`);
}

/** @internal The least wait before connecting again. */
export function pauseAfter(code: number): number {
  return PAUSES.get(code) ?? 0;
}
