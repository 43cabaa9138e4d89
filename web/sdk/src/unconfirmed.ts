import type { SignalType } from "./messages.js";
import type { Entry } from "./outbox.js";

/** More than this nobody waits for, since the server keeps no more for anybody. */
const CAPACITY = 256;

interface Said {
  readonly type: SignalType;
  readonly body: unknown;
  readonly nr: number;
  /** On its way to the server; none while it is held back. */
  entry: Entry | undefined;
}

/** @internal Hands a message to the server. */
export type Say = (type: SignalType, body: unknown, nr: number) => Entry;

/**
 * What was said to a peer and is not known to have arrived. A server that is restarted has lost it;
 * then it is said again, under the numbers of the first time, by which the peer knows what it has
 * had already.
 *
 * @internal
 */
export class Unconfirmed {
  readonly #say: Say;
  readonly #number: () => number;
  #said: Said[] = [];
  #held = false;

  /** Each `number` is larger than any that was given to this peer before, whenever it was met. */
  constructor(say: Say, number: () => number) {
    this.#say = say;
    this.#number = number;
  }

  say(type: SignalType, body: unknown): void {
    const said: Said = { type, body, nr: this.#number(), entry: undefined };
    this.#said.push(said);
    if (this.#said.length > CAPACITY) this.#said.shift();
    if (!this.#held) said.entry = this.#say(type, body, said.nr);
  }

  /** Everything up to this id has arrived. */
  delivered(through: number): void {
    this.#said = this.#said.filter(({ entry }) => !entry || !entry.sent || entry.id > through);
  }

  /** The server has refused what has this number. */
  refused(nr: number | undefined): void {
    this.#said = this.#said.filter((said) => said.nr !== nr);
  }

  /** The server has lost it all, and cannot reach the peer. */
  hold(): void {
    this.#held = true;
    for (const said of this.#said) said.entry = undefined;
  }

  /** The peer can be reached again. */
  release(): void {
    this.#held = false;
    for (const said of this.#said) said.entry ??= this.#say(said.type, said.body, said.nr);
  }
}
