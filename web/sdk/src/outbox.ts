import { PeerageError } from "./errors.js";
import type { ClientMessage } from "./messages.js";

/** A message that the server may not have applied yet. */
export interface Entry {
  id: number;
  readonly message: ClientMessage;
  /** Whether it was handed to the present connection. */
  sent: boolean;
  readonly settle: Settle | undefined;
}

/** Told what became of a message that gets an answer. */
export interface Settle {
  resolve(answer: unknown): void;
  reject(error: PeerageError): void;
}

/**
 * Keeps each message until it is known to be applied, and numbers them. The server answers few
 * messages, but handles them in order: what it says about one settles all that came before.
 *
 * @internal
 */
export class Outbox {
  readonly #capacity: number;
  #entries: Entry[] = [];
  #lastId = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get lastId(): number {
    return this.#lastId;
  }

  get size(): number {
    return this.#entries.length;
  }

  add(message: ClientMessage, settle?: Settle): Entry {
    if (this.#entries.length >= this.#capacity) {
      throw new PeerageError("outbox_full", `${this.#capacity} messages wait for the server`);
    }
    const entry: Entry = { id: ++this.#lastId, message, sent: false, settle };
    this.#entries.push(entry);
    return entry;
  }

  /** The oldest message that the present connection has not carried. */
  nextUnsent(): Entry | undefined {
    return this.#entries.find((entry) => !entry.sent);
  }

  /** A new connection: whatever is still here may have been lost with the old one. */
  resend(applied: number): void {
    this.applied(applied);
    for (const entry of this.#entries) entry.sent = false;
  }

  /** Everything up to `id` is applied. What waits for an answer stays until that has come. */
  applied(id: number): void {
    this.#entries = this.#entries.filter((entry) => entry.id > id || entry.settle !== undefined);
  }

  /**
   * Takes out what is applied and waits for an answer that will not come. What became of a
   * broadcast is told whatever else was missed.
   */
  unanswered(applied: number): Entry[] {
    const isMissed = ({ id, message }: Entry) => id <= applied && message.type !== "broadcast";
    const entries = this.#entries.filter(isMissed);
    this.#entries = this.#entries.filter((entry) => !isMissed(entry));
    return entries;
  }

  /** Puts back what still waits for its answer. */
  restore(entry: Entry): void {
    this.#entries.unshift(entry);
    this.#entries.sort((a, b) => a.id - b.id);
  }

  /** Takes out the one message that the server has answered. */
  answered(id: number): Entry | undefined {
    const entry = this.#entries.find((candidate) => candidate.id === id);
    this.#entries = this.#entries.filter((candidate) => candidate !== entry);
    this.applied(id);
    return entry;
  }

  /**
   * The server dropped `id` unapplied. An id that is smaller than one applied already would be
   * dropped again, so the message, and all that were to follow it, get new ones.
   */
  renumber(id: number): void {
    for (const entry of this.#entries) {
      if (entry.id < id) continue;
      if (entry.id > id && entry.sent) continue;
      entry.id = ++this.#lastId;
      entry.sent = false;
    }
    this.#entries.sort((a, b) => a.id - b.id);
  }

  /** Takes everything out. */
  clear(): Entry[] {
    const entries = this.#entries;
    this.#entries = [];
    return entries;
  }
}
