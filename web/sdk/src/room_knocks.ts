import type { Knocker, KnockState } from "./room_messages.js";

/** @internal Who is told. */
export interface KnocksListener {
  waits(knocker: Knocker): void;
  ended(knocker: Knocker, state: KnockState): void;
}

/**
 * Who waits to be let into a room, as the server has last told it.
 *
 * @internal
 */
export class RoomKnocks {
  readonly #waiting = new Map<string, Knocker>();
  readonly #listener: KnocksListener;

  constructor(listener: KnocksListener) {
    this.#listener = listener;
  }

  /** By session. */
  get waiting(): ReadonlyMap<string, Knocker> {
    return this.#waiting;
  }

  /** What has become of one. */
  hear(knocker: Knocker, state: KnockState): void {
    if (state === "waiting") {
      this.#waiting.set(knocker.session, knocker);
      this.#listener.waits(knocker);
    } else {
      this.#waiting.delete(knocker.session);
      this.#listener.ended(knocker, state);
    }
  }

  /** All there are. */
  replace(knockers: readonly Knocker[]): void {
    const waiting = new Map(knockers.map((knocker) => [knocker.session, knocker]));
    for (const knocker of [...this.#waiting.values()]) {
      if (!waiting.has(knocker.session)) this.hear(knocker, "withdrawn");
    }
    for (const knocker of waiting.values()) {
      if (!this.#waiting.has(knocker.session)) this.hear(knocker, "waiting");
    }
  }

  /** This member may not know any more. Nobody is told. */
  clear(): void {
    this.#waiting.clear();
  }
}
