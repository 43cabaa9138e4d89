/**
 * A token bucket that keeps this client within the rate that the server allows, so that nothing is
 * dropped there in the first place.
 *
 * @internal
 */
export class Pacer {
  #perMillisecond = 0;
  #burst = 0;
  #tokens = 0;
  #at = 0;

  /** Starts over with a full bucket. */
  configure(perSecond: number, burst: number, now: number): void {
    this.#perMillisecond = perSecond / 1000;
    this.#burst = burst;
    this.#tokens = burst;
    this.#at = now;
  }

  /** Takes one token. Returns 0, or how many milliseconds to wait before asking again. */
  take(now: number): number {
    const refilled = this.#tokens + Math.max(0, now - this.#at) * this.#perMillisecond;
    this.#tokens = Math.min(this.#burst, refilled);
    this.#at = now;
    if (this.#tokens < 1) return Math.ceil((1 - this.#tokens) / this.#perMillisecond);
    this.#tokens -= 1;
    return 0;
  }

  /** Nothing goes out for `milliseconds`. */
  pause(milliseconds: number, now: number): void {
    this.#tokens = Math.min(this.#tokens, 1 - milliseconds * this.#perMillisecond);
    this.#at = now;
  }
}
