import type { PeerageError } from "./errors.js";
import type { Json, LeaveReason } from "./messages.js";
import type { Peer } from "./peer.js";
import type { Knocker, KnockState, Role, RoomSettings } from "./room_messages.js";

/** What the others see of this member. */
export interface Self {
  /** At most 64 characters. */
  readonly name?: string;
  /** Any JSON value of at most 4,096 bytes. */
  readonly data?: Json;
}

/** What a {@link Room} tells. */
export interface RoomEvents {
  /** Somebody is here, who was not before. */
  peerjoined: Peer;
  /** Somebody's name, data or presence has changed. */
  peerupdated: Peer;
  /** Somebody is here no more. */
  peerleft: { readonly peer: Peer; readonly reason: LeaveReason };
  /** This member's own role has changed. */
  role: Role;
  /** Hosts have locked or unlocked the room, or changed its limit. */
  settings: RoomSettings;
  /** Entries of {@link Room.state} have changed. */
  state: { readonly keys: readonly string[] };
  /** Somebody waits to be let in; only who may moderate is told. */
  knock: Knocker;
  /** Somebody waits no more. */
  knockended: { readonly knocker: Knocker; readonly state: KnockState };
  /** Somebody has said something to all. `peer` is left out if it has gone since. */
  broadcast: { readonly body: Json; readonly from: string; readonly peer?: Peer };
  /** The server had lost this session, and a new one has joined the room in its place. */
  rejoined: undefined;
  /** Something has failed that the library could not mend; `peer` is whom it concerns. */
  error: { readonly error: PeerageError; readonly peer?: Peer };
  /** This side is in the room no more. `error` says why, unless it left by itself. */
  closed: { readonly error?: PeerageError };
}

/** What became of {@link Room.send}. */
export interface SendResult {
  /** To whom the data is on its way. */
  readonly sent: readonly Peer[];
  /** To whom it could not be sent, and why. */
  readonly failed: readonly { readonly peer: Peer; readonly error: PeerageError }[];
}
