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

  /** Takes the server's rates. A session that goes on has used some of its tokens already. */
  configure(perSecond: number, burst: number, isNew: boolean, now: number): void {
    this.#refill(now);
    this.#perMillisecond = perSecond / 1000;
    this.#burst = burst;
    this.#tokens = isNew ? burst : Math.min(burst, this.#tokens);
  }

  /** Takes one token. Returns 0, or how many milliseconds to wait before asking again. */
  take(now: number): number {
    this.#refill(now);
    if (this.#tokens < 1) return Math.ceil((1 - this.#tokens) / this.#perMillisecond);
    this.#tokens -= 1;
    return 0;
  }

  /** Nothing goes out for `milliseconds`. */
  pause(milliseconds: number, now: number): void {
    this.#refill(now);
    this.#tokens = Math.min(this.#tokens, 1 - milliseconds * this.#perMillisecond);
  }

  #refill(now: number): void {
    const refilled = this.#tokens + Math.max(0, now - this.#at) * this.#perMillisecond;
    this.#tokens = Math.min(this.#burst, refilled);
    this.#at = now;
  }
}
