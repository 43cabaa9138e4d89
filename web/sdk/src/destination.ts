/** So many attempts in a row at one server may come to nothing before the other one is tried. */
const ATTEMPTS = 4;
/** A host and perhaps a port: what a base URL has, and nothing else. */
const BASE = /^https?:\/\/[^/?#@\\\s]+$/;

/**
 * To which server a session connects: the one that the application has named, or the one to which
 * that has sent the client.
 *
 * @internal
 */
export class Destination {
  /** What the application has named. */
  #home: string;
  /** Where it was sent, if it was. */
  #elsewhere: string | undefined;
  #isHome = true;
  #failures = 0;

  constructor(home: string) {
    this.#home = home;
  }

  /** Where to connect: the URL of a WebSocket. */
  get url(): string {
    return this.#isHome ? this.#home : (this.#elsewhere ?? this.#home);
  }

  /**
   * The server has sent the client to the server at `base`.
   *
   * @returns whether it goes there: from TLS nobody is led to plain text
   */
  follow(base: string): boolean {
    const url = socketOf(base);
    if (url === undefined || (isSecure(this.url) && !isSecure(url))) return false;
    this.#failures = 0;
    this.#isHome = url === this.#home;
    if (this.#isHome) return true;
    // There is no way back to plain text either.
    if (isSecure(url) && !isSecure(this.#home)) this.#home = url;
    this.#elsewhere = url;
    return true;
  }

  /** An attempt brought neither a welcome nor an answer of a server. */
  failed(): void {
    if (this.#elsewhere === undefined) return;
    this.#failures += 1;
    if (this.#failures < ATTEMPTS) return;
    this.#failures = 0;
    this.#isHome = !this.#isHome;
  }

  /** The server has answered. */
  answered(): void {
    this.#failures = 0;
  }
}

function isSecure(url: string): boolean {
  return /^(wss|https):/i.test(url);
}

/** The URL of the WebSocket of a server, by its base URL; undefined where that is none. */
function socketOf(base: string): string | undefined {
  if (!BASE.test(base)) return undefined;
  try {
    return new URL("/v1/ws", base.replace(/^http/, "ws")).href;
  } catch {
    return undefined;
  }
}
