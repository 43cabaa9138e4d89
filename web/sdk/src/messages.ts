import type { Account, Role, RoomAnswer, RoomNews, RoomRequest } from "./room_messages.js";

/** Any value that survives JSON. */
export type Json =
  null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** What the server enforces, as its welcome says. */
export interface Limits {
  readonly message_bytes: number;
  readonly messages_per_second: number;
  readonly burst: number;
  readonly room_members: number;
  readonly rooms: number;
  readonly data_bytes: number;
  readonly broadcast_bytes?: number;
  readonly broadcasts?: number;
  readonly state_key_bytes?: number;
  readonly state_value_bytes?: number;
  readonly state_entries?: number;
  readonly state_bytes?: number;
}

/** Whether a member's connection lives. */
export type MemberState = "joined" | "suspended" | "left";

/** Why a member left. */
export type LeaveReason =
  "left" | "bye" | "expired" | "removed" | "unauthorized" | "replaced" | "shutdown";

/** @internal A member as the server describes it to this session. */
export interface Member {
  readonly session: string;
  readonly name?: string;
  readonly data?: Json;
  readonly state: MemberState;
  readonly reason?: LeaveReason;
  readonly role?: Role;
  readonly polite: boolean;
  readonly epoch: number;
  /** The epoch of the meeting before a restart of the server that this one goes on with. */
  readonly continues?: number;
}

/** @internal A meeting that a restart of the server has not ended, as this side sees it. */
export interface Meeting {
  readonly session: string;
  readonly epoch: number;
  readonly polite: boolean;
}

/** @internal */
export interface Welcome {
  readonly type: "welcome";
  readonly session: string;
  readonly token: string;
  readonly resumed: "none" | "restored" | "snapshot" | "full";
  readonly resume_window_ms: number;
  readonly applied?: number;
  readonly ice_servers: readonly RTCIceServer[];
  readonly limits: Limits;
}

/** @internal */
export type SignalType = "offer" | "answer" | "candidate";

/** @internal An offer, answer or candidate from another member. */
export interface Signal {
  readonly type: SignalType;
  readonly room: string;
  readonly from: string;
  readonly epoch: number;
  /** Which of all that the sender says to this side it is; what is said again has it again. */
  readonly nr?: number;
  readonly body: unknown;
}

/** @internal */
export interface Joined extends Account {
  readonly type: "joined";
  readonly re: number;
}

/** @internal All rooms of the session as they are, in place of what it has missed. */
export interface Snapshot {
  readonly type: "snapshot";
  readonly rooms: readonly Account[];
  /** Where the session waits to be let in. */
  readonly knocking?: readonly string[];
}

/** @internal */
export interface Presence {
  readonly type: "presence";
  readonly room: string;
  readonly member: Member;
}

/** @internal */
export interface ServerRefusal {
  readonly type: "error";
  readonly re?: number;
  readonly code: string;
  readonly message: string;
  readonly retry_after_ms?: number;
}

/** @internal What the server says, apart from the sequence number. */
export type ServerMessage =
  | Welcome
  | Joined
  | Snapshot
  | Presence
  | Signal
  | { readonly type: "delivered"; readonly to: string; readonly through: number }
  | RoomNews
  | RoomAnswer
  | { readonly type: "updated"; readonly re: number; readonly room: string }
  | { readonly type: "left"; readonly re: number; readonly room: string }
  | { readonly type: "ice_servers"; readonly ice_servers: readonly RTCIceServer[] }
  | { readonly type: "token"; readonly token: string }
  | { readonly type: "authorized"; readonly re: number }
  | { readonly type: "token_expiring"; readonly expires_in_ms: number }
  | { readonly type: "pong" }
  | {
      readonly type: "goaway";
      readonly reason: string;
      readonly reconnect_in_ms: number;
      readonly url?: string;
    }
  | ServerRefusal;

/** @internal A message with its sequence number, where it has one. */
export type Numbered = ServerMessage & { readonly seq?: number };

/** @internal What a client says with an id, before it has one. */
export type ClientMessage =
  | RoomRequest
  | {
      readonly type: "join";
      readonly room: string;
      readonly name?: string;
      readonly data?: Json;
      readonly meetings?: readonly Meeting[];
      readonly knock?: boolean;
    }
  | { readonly type: "update"; readonly room: string; readonly name?: string; readonly data?: Json }
  | { readonly type: "leave"; readonly room: string }
  | { readonly type: "authorize"; readonly access_token: string }
  | {
      readonly type: SignalType;
      readonly room: string;
      readonly to: string;
      readonly epoch: number;
      readonly nr?: number;
      readonly body: unknown;
    };

/** @internal What a client says about the connection, without an id. */
export type ConnectionMessage =
  | {
      readonly type: "hello";
      readonly version: 1;
      readonly client: string;
      readonly access_token?: string;
      readonly resume?: { readonly session: string; readonly token: string; readonly seq: number };
    }
  | { readonly type: "ack"; readonly seq: number }
  | { readonly type: "ping" }
  | { readonly type: "bye" };

type FieldType = "string" | "number" | "object";

/** The fields without which a message of a known type cannot be used. */
const REQUIRED: Readonly<Record<ServerMessage["type"], Readonly<Record<string, FieldType>>>> = {
  welcome: { session: "string", token: "string", resumed: "string", limits: "object" },
  joined: { room: "string", members: "object", re: "number" },
  snapshot: { rooms: "object" },
  role: { room: "string", role: "string", permissions: "object" },
  room: { room: "string", settings: "object" },
  state: { room: "string", entries: "object" },
  knock: { room: "string", session: "string", state: "string" },
  removed: { room: "string" },
  broadcast: { room: "string", from: "string" },
  done: { re: "number" },
  knocking: { re: "number", room: "string" },
  broadcast_delivered: { re: "number", undeliverable: "object" },
  presence: { room: "string", member: "object" },
  delivered: { to: "string", through: "number" },
  updated: { re: "number" },
  left: { re: "number" },
  offer: { room: "string", from: "string", epoch: "number" },
  answer: { room: "string", from: "string", epoch: "number" },
  candidate: { room: "string", from: "string", epoch: "number" },
  ice_servers: { ice_servers: "object" },
  token: { token: "string" },
  authorized: { re: "number" },
  token_expiring: { expires_in_ms: "number" },
  pong: {},
  goaway: { reconnect_in_ms: "number" },
  error: { code: "string" },
};

/**
 * Reads one message of the server.
 *
 * @returns the message; or undefined for a type that this version does not know, which is not an
 * error, since servers may grow
 * @throws SyntaxError when it is not of the form that the protocol prescribes
 * @internal
 */
export function parseServerMessage(text: string): Numbered | { readonly seq?: number } {
  const value: unknown = JSON.parse(text);
  if (!isRecord(value) || typeof value["type"] !== "string") {
    throw new SyntaxError("a message is not an object with a type");
  }
  const type = value["type"];
  const required = Object.hasOwn(REQUIRED, type)
    ? REQUIRED[type as ServerMessage["type"]]
    : undefined;
  for (const [field, kind] of Object.entries(required ?? {})) {
    if (typeof value[field] !== kind || value[field] === null) {
      throw new SyntaxError(`${type}.${field} is not a ${kind}`);
    }
  }
  if (value["seq"] !== undefined && !Number.isSafeInteger(value["seq"])) {
    throw new SyntaxError(`${type}.seq is not an integer`);
  }
  return required === undefined ? { seq: value["seq"] as number } : value;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
