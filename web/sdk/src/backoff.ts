/** How long to wait before trying to connect again. */
export interface BackoffOptions {
  /** The bound of the first wait, in milliseconds. */
  readonly base: number;
  /** The bound that no wait exceeds, in milliseconds. */
  readonly ceiling: number;
}

/**
 * Exponential backoff with full jitter: each wait is drawn evenly from zero to a bound that doubles
 * every time. Thousands of clients that lost one server so come back spread out, not in waves.
 *
 * @internal
 */
export class Backoff {
  readonly #options: BackoffOptions;
  readonly #random: () => number;
  #attempts = 0;

  constructor(options: BackoffOptions, random: () => number) {
    this.#options = options;
    this.#random = random;
  }

  /** How many waits there have been since the last success. */
  get attempts(): number {
    return this.#attempts;
  }

  /** The next wait in milliseconds, and never less than `atLeast`. */
  next(atLeast = 0): number {
    const bound = Math.min(this.#options.ceiling, this.#options.base * 2 ** this.#attempts);
    this.#attempts += 1;
    return atLeast + this.#random() * bound;
  }

  reset(): void {
    this.#attempts = 0;
  }
}
