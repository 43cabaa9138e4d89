/**
 * Rooms, peer connections and data channels through a Peerage server.
 *
 * @packageDocumentation
 */
export type { BackoffOptions } from "./backoff.js";
export { Channel, type ChannelData, type ChannelEvents } from "./channel.js";
export { Client, type ClientEvents, type ClientOptions, type JoinOptions } from "./client.js";
export type { AccessToken, ConnectionState } from "./connection.js";
export type { DiagnoseOptions } from "./diagnose.js";
export type { Check, Diagnosis, PathVerdict, RelayTransport, TransportName } from "./diagnosis.js";
export { Emitter, type Unsubscribe } from "./emitter.js";
export {
  ChannelError,
  type ClientErrorCode,
  ConnectionError,
  type ErrorCode,
  NegotiationError,
  PeerageError,
  ServerError,
  type ServerErrorCode,
} from "./errors.js";
export type { LinkEvents } from "./link.js";
export type { LivenessOptions } from "./liveness.js";
export { LocalMedia, type LocalMediaEvents, type MediaKind, type Slot } from "./media.js";
export type { Json, LeaveReason, Limits, MemberState } from "./messages.js";
export type { Path, PathKind } from "./path.js";
export { Peer, type PeerEvents } from "./peer.js";
export type { RemoteTrack } from "./receiving.js";
export { type Reading, requestTransport } from "./requests.js";
export { Room } from "./room.js";
export type { RoomEvents, Self, SendResult } from "./room_events.js";
export type {
  BroadcastReceipt,
  Duplicates,
  Knocker,
  KnockState,
  Permission,
  Role,
  RoomSettings,
} from "./room_messages.js";
export { newRoomKey } from "./sealing.js";
export { RoomState, type StateOptions } from "./room_state.js";
export type { Transport, TransportEnd, TransportFactory, TransportListener } from "./transport.js";
export { type WebSocketConstructor, type WebSocketLike, webSocketTransport } from "./websocket.js";
