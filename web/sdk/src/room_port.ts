import type { ClientMessage } from "./messages.js";
import type { Entry, Settle } from "./outbox.js";

/** @internal What a room is given. */
export interface RoomPort {
  createConnection(): RTCPeerConnection;
  send(message: ClientMessage, settle?: Settle): Entry;
  request<Answer>(message: ClientMessage): Promise<Answer>;
  /** A number for what is said, larger than those before in this session. */
  number(): number;
  /** The public id of this session. */
  session(): string;
  isConnected(): boolean;
  doubtServer(): void;
  readonly bufferBytes: number;
}
