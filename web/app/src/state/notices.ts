import { signal } from "@preact/signals";

export interface Notice {
  readonly id: number;
  readonly text: string;
}

/** How long a notice stays that asks for nothing … */
export const IN_PASSING = 3_000;
/** … and how long one that is to be read. */
const SHOWN_FOR = 6_000;
const AT_ONCE = 3;

/** Short messages that go away by themselves. */
export class Notices {
  readonly all = signal<readonly Notice[]>([]);
  #lastId = 0;

  say(text: string, shownFor = SHOWN_FOR): void {
    const notice = { id: ++this.#lastId, text };
    this.all.value = [...this.all.value, notice].slice(-AT_ONCE);
    setTimeout(() => this.dismiss(notice.id), shownFor);
  }

  dismiss(id: number): void {
    this.all.value = this.all.value.filter((notice) => notice.id !== id);
  }
}
