import type { Knocker, Room } from "@peerage/client";
import { signal } from "@preact/signals";
import { inWords } from "./words.js";

/** Who may come in and who may stay, as far as this side has a say in it. */
export class Door {
  /** Whether this side looks after the room. */
  readonly isKeeper = signal(false);
  readonly locked = signal(false);
  /** Who waits to be let in, the first first. */
  readonly waiting = signal<readonly Knocker[]>([]);
  readonly #say: (text: string) => void;
  #room: Room | undefined;

  constructor(say: (text: string) => void) {
    this.#say = say;
  }

  watch(room: Room): void {
    this.#room = room;
    this.#read(room);
    room.on("role", () => {
      this.#read(room);
      if (this.isKeeper.value) this.#say("You look after this call now.");
    });
    room.on("settings", () => {
      const before = this.locked.value;
      this.#read(room);
      if (this.locked.value === before) return;
      this.#say(before ? "The call is open again." : "The call is locked: others have to knock.");
    });
    room.on("knock", () => this.#read(room));
    room.on("knockended", () => this.#read(room));
    room.on("rejoined", () => this.#read(room));
  }

  toggleLock(): void {
    this.#ask((room) => (this.locked.value ? room.unlock() : room.lock()));
  }

  admit(session: string): void {
    this.#ask((room) => room.admit(session));
  }

  deny(session: string): void {
    this.#ask((room) => room.deny(session));
  }

  /** Puts somebody out. */
  remove(session: string): void {
    this.#ask((room) => room.remove(session, { bar: true }));
  }

  #read(room: Room): void {
    this.isKeeper.value = room.permissions.includes("moderate");
    this.locked.value = room.settings.locked;
    this.waiting.value = [...room.knocks.values()];
  }

  #ask(request: (room: Room) => Promise<void>): void {
    if (!this.#room) return;
    request(this.#room).catch((error: unknown) => this.#say(inWords(error)));
  }
}
