import type { Room } from "@peerage/client";
import { computed, signal } from "@preact/signals";

/** One message of the conversation. */
export interface ChatMessage {
  readonly id: number;
  readonly from: string;
  readonly own: boolean;
  readonly text: string;
  readonly at: Date;
  /** Who could not be reached with it. */
  readonly missed: readonly string[];
}

const HISTORY = 500;
export const LONGEST_TEXT = 4_000;

/** The conversation beside the call; it travels between the peers only. */
export class Chat {
  readonly messages = signal<readonly ChatMessage[]>([]);
  readonly open = signal(false);
  readonly #seen = signal(0);
  readonly unread = computed(() => this.#count.value - this.#seen.value);
  readonly #count = signal(0);

  send(text: string, room: Room): void {
    const trimmed = text.trim().slice(0, LONGEST_TEXT);
    if (trimmed === "") return;
    const { failed } = room.send(JSON.stringify({ type: "chat", text: trimmed }));
    const missed = failed.map(({ peer }) => peer.name ?? "Guest");
    this.#add({ from: "You", own: true, text: trimmed, missed });
    this.#seen.value += 1;
    this.#count.value += 1;
  }

  receive(data: string | ArrayBuffer, from: string): void {
    const text = chatText(data);
    if (text === undefined) return;
    this.#add({ from, own: false, text, missed: [] });
    this.#count.value += 1;
    if (this.open.value) this.#seen.value = this.#count.value;
  }

  show(open: boolean): void {
    this.open.value = open;
    this.#seen.value = this.#count.value;
  }

  #add(message: Omit<ChatMessage, "id" | "at">): void {
    const last = this.messages.value.at(-1);
    const added = { ...message, id: (last?.id ?? 0) + 1, at: new Date() };
    this.messages.value = [...this.messages.value, added].slice(-HISTORY);
  }
}

/** The text of a chat message; undefined for whatever else may come over the channel. */
export function chatText(data: string | ArrayBuffer): string | undefined {
  if (typeof data !== "string" || !data.startsWith("{")) return undefined;
  let message: unknown;
  try {
    message = JSON.parse(data);
  } catch (error) {
    console.info("a message that is not JSON came over the channel", error);
    return undefined;
  }
  const { type, text } = message as { type?: unknown; text?: unknown };
  return type === "chat" && typeof text === "string" ? text.slice(0, LONGEST_TEXT) : undefined;
}
