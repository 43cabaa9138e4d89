import { startTimer, stopTimer, type Timer } from "./timers.js";

/** When a silent connection is asked, and when it is given up. */
export interface LivenessOptions {
  /** After so many milliseconds of silence a ping goes out. */
  readonly quiet: number;
  /** A ping unanswered for so many milliseconds means that the connection is dead. */
  readonly patience: number;
}

/**
 * Notices a connection that died without a word, as one does when a phone changes networks. A page
 * cannot see the WebSocket's own pings, so it sends pings of the protocol.
 *
 * @internal
 */
export class Liveness {
  readonly #options: LivenessOptions;
  readonly #ping: () => void;
  readonly #dead: () => void;
  #timer: Timer | undefined;

  constructor(options: LivenessOptions, ping: () => void, dead: () => void) {
    this.#options = options;
    this.#ping = ping;
    this.#dead = dead;
  }

  /** Something has come: the connection lives. */
  heard(): void {
    this.stop();
    this.#timer = startTimer(() => this.probe(this.#options.patience), this.#options.quiet);
  }

  /** Asks now, and waits no longer than `patience` milliseconds for any sign of life. */
  probe(patience: number): void {
    this.stop();
    this.#timer = startTimer(() => this.#dead(), patience);
    this.#ping();
  }

  stop(): void {
    stopTimer(this.#timer);
  }
}
