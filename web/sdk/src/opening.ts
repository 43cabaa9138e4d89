import type { Seal } from "./sealing.js";

/**
 * Takes in one by one what the server says of a room, since to open what is sealed takes a moment.
 *
 * @internal
 */
export class Opening {
  readonly #seal: Seal | undefined;
  #queue: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(seal?: Seal) {
    this.#seal = seal;
  }

  /** Takes something in, behind what has come before it; at once where nothing is sealed. */
  take<Sealed>(
    sealed: Sealed,
    open: (seal: Seal, sealed: Sealed) => Promise<Sealed | undefined>,
    take: (opened: Sealed) => void,
  ): void {
    const seal = this.#seal;
    if (!seal) {
      take(sealed);
      return;
    }
    this.#queue = this.#queue.then(async () => {
      const opened = await open(seal, sealed);
      if (opened !== undefined && !this.#closed) take(opened);
    });
    this.#queue = this.#queue.catch((error: unknown) => {
      // As where nothing is sealed, it is uncaught, and what comes after is taken in.
      setTimeout(() => {
        throw error;
      });
    });
  }

  /** What is still being opened is not taken in any more. */
  close(): void {
    this.#closed = true;
  }
}
