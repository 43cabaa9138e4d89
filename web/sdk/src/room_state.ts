import type { Json } from "./messages.js";
import type { StateEntry } from "./room_messages.js";

/** How an entry of a room's state is set. */
export interface StateOptions {
  /** After how many milliseconds it goes by itself; a day at most. */
  readonly expiresIn?: number;
  /** Whether it goes when this member leaves the room. */
  readonly whilePresent?: boolean;
  /** The version that it must have, 0 for none; otherwise `version_conflict`. */
  readonly ifVersion?: number;
}

/** @internal */
export type SetState = (key: string, value: Json, options: StateOptions) => Promise<void>;

/** Small values that a room keeps for its members, as the server has last told them. */
export class RoomState implements Iterable<[string, Json]> {
  readonly #entries = new Map<string, StateEntry>();
  readonly #set: SetState;

  /** @internal */
  constructor(set: SetState) {
    this.#set = set;
  }

  /** How many entries there are. */
  get size(): number {
    return this.#entries.size;
  }

  /** The value of an entry; undefined if there is none. */
  get(key: string): Json | undefined {
    return this.#entries.get(key)?.value;
  }

  /** Whether there is such an entry. */
  has(key: string): boolean {
    return this.#entries.has(key);
  }

  /** The version of an entry, for {@link StateOptions.ifVersion}; 0 if there is none. */
  version(key: string): number {
    return this.#entries.get(key)?.version ?? 0;
  }

  /** All keys and values. */
  *[Symbol.iterator](): IterableIterator<[string, Json]> {
    for (const { key, value } of this.#entries.values()) yield [key, value];
  }

  /**
   * Sets an entry for all members. `null` takes it out. Resolves once the server has it; it is
   * seen here, as by everybody else, when the server tells of it.
   *
   * @throws {@link ServerError} such as `version_conflict`, `state_full`, `not_permitted`
   */
  set(key: string, value: Json, options: StateOptions = {}): Promise<void> {
    return this.#set(key, value, options);
  }

  /** Takes an entry out. */
  delete(key: string, options: StateOptions = {}): Promise<void> {
    return this.#set(key, null, options);
  }

  /** @internal Gives the keys that have changed. */
  change(entries: readonly StateEntry[]): string[] {
    for (const entry of entries) {
      if (entry.value === null) this.#entries.delete(entry.key);
      else this.#entries.set(entry.key, entry);
    }
    return entries.map(({ key }) => key);
  }

  /** @internal All there is. Gives the keys that have changed. */
  replace(entries: readonly StateEntry[]): string[] {
    const before = new Map(this.#entries);
    this.#entries.clear();
    this.change(entries);
    const keys = new Set([...before.keys(), ...this.#entries.keys()]);
    return [...keys].filter((key) => before.get(key)?.version !== this.version(key));
  }
}
