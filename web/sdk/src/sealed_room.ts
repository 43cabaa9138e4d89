import type { Member, Presence, Signal } from "./messages.js";
import type { Account, Knocker, RoomNews, StateEntry } from "./room_messages.js";
import type { Self } from "./room_events.js";
import type { Seal } from "./sealing.js";

/** @internal What the seal of a member's name and data is about. */
export const aboutMember = (session: string): string[] => ["member", session];
/** @internal What the seal of an entry of the room's state is about. */
export const aboutState = (key: string): string[] => ["state", key];
/** @internal What the seal of something that is said to all is about. */
export const aboutBroadcast = (from: string): string[] => ["broadcast", from];
/** @internal What the seal of something that is said to one is about. */
export const aboutSignal = (type: string, from: string, to: string): string[] => [type, from, to];

/**
 * Opens the server's account of a room. Whoever has another key, or none, is not in it.
 *
 * @internal
 */
export async function openAccount(seal: Seal, account: Account): Promise<Account> {
  const members = await all(account.members, (member) => openMember(seal, member));
  const knocks = await all(account.knocks ?? [], (knocker) => openKnocker(seal, knocker));
  const state = await all(account.state ?? [], (entry) => openEntry(seal, entry));
  return { ...account, members, knocks, state };
}

/** @internal Opens what has changed about a room; undefined if it is nobody's who has the key. */
export async function openNews(seal: Seal, news: RoomNews): Promise<RoomNews | undefined> {
  switch (news.type) {
    case "state":
      return { ...news, entries: await all(news.entries, (entry) => openEntry(seal, entry)) };
    case "knock": {
      if (news.state !== "waiting") return news;
      const knocker = await openKnocker(seal, news);
      return knocker && ({ ...news, name: undefined, data: undefined, ...knocker } as RoomNews);
    }
    case "broadcast": {
      const opened = await seal.open(aboutBroadcast(news.from), news.body);
      return opened && { ...news, body: opened.value };
    }
    default:
      return news;
  }
}

/** @internal Opens what is said of a member, or by one to `self`. */
export async function openMessage<Message extends Presence | Signal>(
  seal: Seal,
  message: Message,
  self: string,
): Promise<Message | undefined> {
  if (message.type === "presence") {
    const member = await openMember(seal, message.member);
    return member && { ...message, member };
  }
  const { type, from, body } = message;
  const opened = await seal.open(aboutSignal(type, from, self), body);
  return opened && { ...message, body: opened.value };
}

async function openMember(seal: Seal, member: Member): Promise<Member | undefined> {
  // Who leaves need not be who it is said to be.
  if (member.state === "left") return member;
  const profile = await openProfile(seal, member);
  // Without what the server could have made up.
  return profile && ({ ...member, name: undefined, data: undefined, ...profile } as Member);
}

async function openKnocker(seal: Seal, knocker: Knocker): Promise<Knocker | undefined> {
  const profile = await openProfile(seal, knocker);
  return profile && { session: knocker.session, ...profile };
}

async function openProfile(seal: Seal, { session, data }: Knocker): Promise<Self | undefined> {
  const opened = await seal.open(aboutMember(session), data);
  return opened && (opened.value as Self);
}

async function openEntry(seal: Seal, entry: StateEntry): Promise<StateEntry | undefined> {
  if (entry.value === null) return entry;
  const opened = await seal.open(aboutState(entry.key), entry.value);
  return opened && { ...entry, value: opened.value };
}

async function all<T>(
  sealed: readonly T[],
  open: (one: T) => Promise<T | undefined>,
): Promise<T[]> {
  const opened = await Promise.all(sealed.map(open));
  return opened.filter((one) => one !== undefined);
}
