import type { Json, LeaveReason, Member } from "./messages.js";

/** What a member is in its room. */
export type Role = "host" | "member" | "guest";

/** What a member may do. */
export type Permission = "speak" | "broadcast" | "state" | "moderate";

/** What hosts have decided about a room. */
export interface RoomSettings {
  /** Whether who wants to come in has to knock. */
  readonly locked: boolean;
  /** How many members the room may have. */
  readonly limit: number;
  /** What becomes of a second session of a subject. */
  readonly duplicates: Duplicates;
}

/**
 * What a room does when somebody who is there comes in with another session, such as from a second
 * device: both are members, the newer takes the place of the older, or the newer is refused while
 * the older is connected. It needs access tokens, which say who is who.
 */
export type Duplicates = "allow" | "replace" | "reject";

/** Somebody who waits to be let in. */
export interface Knocker {
  /** The public id of its session. */
  readonly session: string;
  /** What it calls itself. */
  readonly name?: string;
  /** Whatever it wants others to know. */
  readonly data?: Json;
}

/** What has become of a knock. */
export type KnockState = "waiting" | "admitted" | "denied" | "withdrawn" | "expired";

/** What became of something that was said to all. */
export interface BroadcastReceipt {
  /** How many have got it. */
  readonly delivered: number;
  /** Who has not and never will, and why. */
  readonly undeliverable: readonly {
    readonly session: string;
    readonly reason: "bye" | "expired" | "overloaded";
  }[];
}

/** @internal */
export interface StateEntry {
  readonly key: string;
  readonly value: Json;
  readonly version: number;
  readonly by?: string;
}

/** @internal A room as a member is told of it. */
export interface Account {
  readonly room: string;
  readonly role: Role;
  readonly permissions: readonly Permission[];
  readonly settings: RoomSettings;
  readonly members: readonly Member[];
  readonly knocks?: readonly Knocker[];
  readonly state?: readonly StateEntry[];
}

interface Answer<Type extends string> {
  readonly type: Type;
  readonly re: number;
  readonly room: string;
}

interface News<Type extends string> {
  readonly type: Type;
  readonly re?: number;
  readonly room: string;
}

/** @internal What the server says about a room without being asked. */
export type RoomNews =
  | (News<"role"> & { readonly role: Role; readonly permissions: readonly Permission[] })
  | (News<"room"> & { readonly settings: RoomSettings })
  | (News<"state"> & { readonly entries: readonly StateEntry[] })
  | (News<"knock"> & Knocker & { readonly state: KnockState })
  | (News<"removed"> & { readonly reason: LeaveReason })
  | (News<"broadcast"> & { readonly from: string; readonly nr: number; readonly body: Json });

/** @internal */
export type RoomAnswer =
  | Answer<"done">
  | (Answer<"knocking"> & { readonly expires_in_ms: number })
  | (Answer<"broadcast_delivered"> & BroadcastReceipt);

interface About<Type extends string> {
  readonly type: Type;
  readonly room: string;
  readonly session: string;
}

/** @internal */
export type RoomRequest =
  | {
      readonly type: "set_room";
      readonly room: string;
      readonly locked?: boolean;
      readonly limit?: number | null;
      readonly duplicates?: Duplicates;
    }
  | (About<"set_role"> & { readonly role: Role })
  | (About<"remove" | "deny"> & { readonly bar?: boolean })
  | About<"admit">
  | {
      readonly type: "set_state";
      readonly room: string;
      readonly key: string;
      readonly value: Json;
      readonly expires_in_ms?: number;
      readonly while_present?: boolean;
      readonly if_version?: number;
    }
  | {
      readonly type: "broadcast";
      readonly room: string;
      readonly nr?: number;
      readonly body: Json;
    };
