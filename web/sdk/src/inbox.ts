import { startTimer, stopTimer, type Timer } from "./timers.js";

/** Acknowledge at the latest after so many messages … */
const ACK_EVERY = 32;
/** … or so many milliseconds after one has come. */
const ACK_WITHIN = 300;

/**
 * Keeps count of what has come from the server, and acknowledges it.
 *
 * @internal
 */
export class Inbox {
  readonly #acknowledge: (seq: number) => void;
  #seq = 0;
  #acknowledged = 0;
  #mayJump = false;
  #timer: Timer | undefined;

  constructor(acknowledge: (seq: number) => void) {
    this.#acknowledge = acknowledge;
  }

  /** The number of the last message taken in. */
  get seq(): number {
    return this.#seq;
  }

  /** Sorts a message in: whether it is the next one, came before, or leaves a gap. */
  take(seq: number): "next" | "repeated" | "gap" {
    if (!this.#mayJump) {
      if (seq <= this.#seq) return "repeated";
      if (seq > this.#seq + 1) return "gap";
    }
    this.#mayJump = false;
    this.#seq = seq;
    if (this.#seq - this.#acknowledged >= ACK_EVERY) this.#flush();
    else this.#timer ??= startTimer(() => this.#flush(), ACK_WITHIN);
    return "next";
  }

  /** The connection is gone; what a resume says in `seq` acknowledges as well. */
  suspend(): void {
    stopTimer(this.#timer);
    this.#timer = undefined;
    this.#acknowledged = this.#seq;
  }

  /** A snapshot comes next, in place of whatever is missing. */
  jump(): void {
    this.#mayJump = true;
  }

  /** A new session counts from the start. */
  reset(): void {
    this.suspend();
    this.#seq = 0;
    this.#acknowledged = 0;
  }

  #flush(): void {
    this.suspend();
    this.#acknowledge(this.#seq);
  }
}
