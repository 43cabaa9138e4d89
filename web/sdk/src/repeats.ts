import { PeerageError } from "./errors.js";
import type { ClientMessage } from "./messages.js";
import type { Settle } from "./outbox.js";
import type { BroadcastReceipt } from "./room_messages.js";
import { startTimer, stopTimer, type Timer } from "./timers.js";

/** So long those who come back at once are waited for, so that most things are said once. */
const GATHERING = 2_000;
/** So many numbers of a sender are remembered: it cannot have more broadcasts under way. */
const REMEMBERED = 256;

/** @internal */
export type Broadcast = Extract<ClientMessage, { type: "broadcast" }>;

interface Held {
  readonly message: Broadcast;
  readonly settle: Settle;
}

/**
 * What was said to all, and of which a restart of the server has left nobody knowing whom it has
 * reached. It is said again when all are back or are given up, and before that to those who are
 * back soon; who hears it twice knows it by its number.
 *
 * @internal
 */
export class Repeats {
  readonly #say: (message: Broadcast, settle?: Settle) => void;
  #held: Held[] = [];
  /** Who did not come back to hear it. */
  readonly #missing: BroadcastReceipt["undeliverable"][number][] = [];
  #timer: Timer | undefined;

  constructor(say: (message: Broadcast, settle?: Settle) => void) {
    this.#say = say;
  }

  /** The server has been restarted: nobody hears anything for now. */
  hold(): void {
    this.#stop();
  }

  /** The receipt of this one was lost. */
  add(message: Broadcast, settle: Settle): void {
    this.#held.push({ message, settle });
  }

  /** Somebody is given up. */
  miss(session: string): void {
    if (this.#held.length > 0) this.#missing.push({ session, reason: "expired" });
  }

  /** Who is back can be spoken to; whether others may still come. */
  release(isComplete: boolean): void {
    if (this.#held.length === 0) return;
    if (!isComplete) {
      this.#timer ??= startTimer(() => {
        for (const { message } of this.#held) this.#repeat(message);
      }, GATHERING);
      return;
    }
    this.#stop();
    const missing = this.#missing.splice(0);
    for (const { message, settle } of this.#held.splice(0)) {
      this.#repeat(message, {
        resolve: (answer) => {
          const receipt = answer as BroadcastReceipt;
          settle.resolve({ ...receipt, undeliverable: [...receipt.undeliverable, ...missing] });
        },
        reject: (error) => settle.reject(error),
      });
    }
  }

  close(error: PeerageError): void {
    this.#stop();
    this.#missing.length = 0;
    for (const { settle } of this.#held.splice(0)) settle.reject(error);
  }

  #repeat(message: Broadcast, settle?: Settle): void {
    try {
      this.#say(message, settle);
    } catch (error) {
      if (!(error instanceof PeerageError)) throw error;
      settle?.reject(error);
    }
  }

  #stop(): void {
    stopTimer(this.#timer);
    this.#timer = undefined;
  }
}

/**
 * Which broadcasts of one sender were heard.
 *
 * @internal
 */
export class HeardBroadcasts {
  readonly #numbers = new Set<number>();

  /** Whether this one is new, and from now on is not. */
  take(nr: number): boolean {
    if (this.#numbers.has(nr)) return false;
    this.#numbers.add(nr);
    for (const oldest of this.#numbers) {
      if (this.#numbers.size <= REMEMBERED) break;
      this.#numbers.delete(oldest);
    }
    return true;
  }
}
