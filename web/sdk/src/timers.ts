import type { Unsubscribe } from "./emitter.js";

/** What a timer is stopped by. */
export type Timer = number;

interface Pending {
  readonly callback: () => void;
  readonly own: ReturnType<typeof setTimeout>;
}

/** As much of Trusted Types as is needed; not every browser has them. */
interface TrustedTypes {
  createPolicy(
    name: string,
    rules: { createScriptURL(url: string): string },
  ): { createScriptURL(url: string): string };
}

const pending = new Map<Timer, Pending>();
let last: Timer = 0;
let users = 0;
let worker: Worker | undefined;
let trust: ((url: string) => string) | undefined;

/**
 * Calls back after so many milliseconds, as `setTimeout` does, but in time also in a page that
 * nobody looks at: there browsers let timers ring once a second, and after a while once a minute.
 * A worker rings as well, and whichever is first counts.
 *
 * @internal
 */
export function startTimer(callback: () => void, after: number): Timer {
  const ring = (last += 1);
  pending.set(ring, { callback, own: setTimeout(() => call(ring), after) });
  worker?.postMessage({ ring, after });
  return ring;
}

/** @internal */
export function stopTimer(ring: Timer | undefined): void {
  const timer = ring === undefined ? undefined : pending.get(ring);
  if (ring === undefined || !timer) return;
  pending.delete(ring);
  clearTimeout(timer.own);
  worker?.postMessage({ ring });
}

/** @internal Resolves after so many milliseconds. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => void startTimer(resolve, milliseconds));
}

/**
 * Keeps timers in time until it is told otherwise. Where there are no workers (or the page allows
 * none) timers are what the browser makes of them.
 *
 * @internal
 */
export function keepTime(): Unsubscribe {
  users += 1;
  if (users === 1) worker = startWorker();
  let isKeeping = true;
  return () => {
    if (!isKeeping) return;
    isKeeping = false;
    users -= 1;
    if (users === 0) endWorker();
  };
}

function call(ring: Timer): void {
  const timer = pending.get(ring);
  stopTimer(ring);
  timer?.callback();
}

function startWorker(): Worker | undefined {
  if (typeof Worker === "undefined") return undefined;
  try {
    // Bundlers know this form, and hand the file out.
    const url = new URL("./clock_worker.js", import.meta.url).href;
    const started = new Worker(trusted(url));
    started.onmessage = ({ data }) => call(data as Timer);
    started.onerror = (event) => {
      event.preventDefault();
      if (worker === started) endWorker();
    };
    return started;
  } catch {
    return undefined;
  }
}

function endWorker(): void {
  worker?.terminate();
  worker = undefined;
}

/** A page may demand that scripts come from trusted places; for this one it is vouched here. */
function trusted(url: string): string {
  const { trustedTypes } = globalThis as { readonly trustedTypes?: TrustedTypes };
  if (trust === undefined) {
    const policy = trustedTypes?.createPolicy("peerage", {
      createScriptURL: (asked) => {
        if (asked !== url) throw new TypeError("only the clock of @peerage/client is vouched for");
        return asked;
      },
    });
    trust = (asked) => policy?.createScriptURL(asked) ?? asked;
  }
  return trust(url);
}
