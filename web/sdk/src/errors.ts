/** The codes with which a server refuses a message (section 6 of the protocol). */
export type ServerErrorCode =
  | "malformed"
  | "unknown_type"
  | "unsupported_version"
  | "hello_expected"
  | "hello_repeated"
  | "invalid_room"
  | "invalid_name"
  | "data_too_large"
  | "room_full"
  | "too_many_rooms"
  | "already_joined"
  | "not_in_room"
  | "no_such_member"
  | "stale_epoch"
  | "addressee_overloaded"
  | "not_permitted"
  | "room_locked"
  | "knock_denied"
  | "knock_expired"
  | "too_many_knocks"
  | "no_such_knock"
  | "duplicate_member"
  | "barred"
  | "too_many_barred"
  | "invalid_limit"
  | "last_host"
  | "body_too_large"
  | "too_many_broadcasts"
  | "invalid_key"
  | "value_too_large"
  | "state_full"
  | "version_conflict"
  | "unauthorized"
  | "token_expired"
  | "token_used"
  | "revoked"
  | "too_many_sessions"
  | "not_allowed"
  | "rate_limited";

/** The codes of what goes wrong on this side. */
export type ClientErrorCode =
  /** The connection was refused for good; it is not tried again. */
  | "connection_refused"
  /** Another connection has taken this session over. */
  | "session_replaced"
  /** A host has put this member out of the room. */
  | "removed"
  /** A room with a key was to be joined where the browser has no cryptography: not over https. */
  | "insecure_context"
  /** Another session of the same subject has taken this member's place in the room. */
  | "member_replaced"
  /** The server has lost the session, and nobody knows what became of this. */
  | "session_lost"
  /** The client, the room or the peer is closed already. */
  | "closed"
  /** The message is longer than the other side takes. */
  | "message_too_large"
  /** Too many messages wait for the connection to come back. */
  | "outbox_full"
  /** The data channel is not open (yet, or any more). */
  | "channel_not_open"
  /** The data channel holds as much unsent data as it may. */
  | "channel_buffer_full"
  /** The browser refused a step of the negotiation. */
  | "negotiation_failed"
  /** The server sent something that breaks the protocol. */
  | "protocol_violation";

/** What every error of this library is; `code` is stable, `message` is for people. */
export class PeerageError extends Error {
  override readonly name: string = "PeerageError";
  /** A stable name of what went wrong. */
  readonly code: ErrorCode;

  /** @internal */
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The server refused a message. A code that this version does not know is handed on as it is. */
export class ServerError extends PeerageError {
  override readonly name = "ServerError";
}

/** Data could not be sent over a data channel. */
export class ChannelError extends PeerageError {
  override readonly name = "ChannelError";
}

/** The browser refused a step of setting up the connection to a peer. */
export class NegotiationError extends PeerageError {
  override readonly name = "NegotiationError";
}

/** The connection to the server is closed for good. */
export class ConnectionError extends PeerageError {
  override readonly name = "ConnectionError";
}

/** Every code there is. The open end is for codes of servers newer than this library. */
export type ErrorCode = ServerErrorCode | ClientErrorCode | (string & Record<never, never>);

/** @internal Whatever was thrown, as an error. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
