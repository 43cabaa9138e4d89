import { Channel, type ChannelData } from "./channel.js";
import { Emitter } from "./emitter.js";
import { NegotiationError, type PeerageError } from "./errors.js";
import type { LocalMedia } from "./media.js";
import type { SignalType } from "./messages.js";
import { Negotiation } from "./negotiation.js";
import { watchPath } from "./path.js";
import { Receiving, type RemoteTrack } from "./receiving.js";
import { Sending } from "./sending.js";

/** What there is to tell of the connection to a peer. */
export interface LinkEvents {
  /** The state of the connection to it has changed. */
  connection: RTCPeerConnectionState;
  /** Media and data may flow another way: `path()` tells. Not every browser says so. */
  pathchange: undefined;
  /** It sends something more. */
  track: RemoteTrack;
  /** It sends something no more. */
  trackremoved: RemoteTrack;
  /** The built-in channel is open: `send` works from now on. */
  open: undefined;
  /** Data has come over the built-in channel. */
  message: string | ArrayBuffer;
  /** It has opened a further channel. */
  channel: Channel;
  /** Something has failed that the library could not mend. */
  error: PeerageError;
}

/** @internal What a link is given. */
export interface LinkPort {
  readonly polite: boolean;
  readonly media: LocalMedia;
  readonly bufferBytes: number;
  send(type: SignalType, body: object | null): void;
}

const BUILT_IN = "peerage";
const DEFAULT_MESSAGE_BYTES = 65_536;

/**
 * One peer connection and all that belongs to it. A peer has one at a time, and gets another when
 * the present one is beyond repair.
 *
 * @internal
 */
export class Link extends Emitter<LinkEvents> {
  readonly connection: RTCPeerConnection;
  readonly #port: LinkPort;
  readonly #negotiation: Negotiation;
  readonly #sending: Sending;
  readonly #receiving: Receiving;
  readonly #channels = new Set<Channel>();
  readonly #channel: Channel;

  constructor(connection: RTCPeerConnection, port: LinkPort) {
    super();
    this.connection = connection;
    this.#port = port;
    this.#receiving = new Receiving(connection, {
      added: (track) => this.emit("track", track),
      removed: (track) => this.emit("trackremoved", track),
    });
    this.#negotiation = this.#negotiate();
    // Negotiated on both sides alike, so that there is something to connect for without media.
    this.#channel = this.openChannel(BUILT_IN, { negotiated: true, id: 0 });
    this.#channel.on("open", () => this.emit("open", undefined));
    this.#channel.on("message", (data) => this.emit("message", data));
    this.#sending = new Sending(connection, port.media, (cause) => {
      this.#fail(new NegotiationError("negotiation_failed", "a track was refused", { cause }));
    });
    connection.addEventListener("connectionstatechange", () => {
      this.emit("connection", connection.connectionState);
    });
    watchPath(connection, () => this.emit("pathchange", undefined));
    connection.addEventListener("datachannel", ({ channel }) => {
      this.emit("channel", this.#wrap(channel));
    });
  }

  get tracks(): readonly RemoteTrack[] {
    return this.#receiving.tracks;
  }

  send(data: ChannelData): void {
    this.#channel.send(data);
  }

  drained(): Promise<void> {
    return this.#channel.drained();
  }

  openChannel(label: string, options?: RTCDataChannelInit): Channel {
    return this.#wrap(this.connection.createDataChannel(label, options));
  }

  /** Takes in what the other side sent. */
  handle(type: SignalType, body: unknown): void {
    this.#negotiation.handle(type, body);
  }

  close(): void {
    this.#negotiation.stop();
    this.#sending.stop();
    this.connection.close();
    // Browsers do not tell the channels of a connection that is closed on this side.
    for (const channel of this.#channels) channel.end();
  }

  #negotiate(): Negotiation {
    return new Negotiation(this.connection, this.#port.polite, {
      send: (type, body) => this.#port.send(type, body),
      labels: () => this.#sending.labels(),
      expect: (labels) => this.#receiving.expect(labels),
      failed: (error) => this.#fail(error),
    });
  }

  #wrap(channel: RTCDataChannel): Channel {
    const wrapped = new Channel(channel, {
      bufferBytes: this.#port.bufferBytes,
      messageBytes: () => this.connection.sctp?.maxMessageSize ?? DEFAULT_MESSAGE_BYTES,
    });
    this.#channels.add(wrapped);
    wrapped.on("close", () => this.#channels.delete(wrapped));
    return wrapped;
  }

  #fail(error: PeerageError): void {
    this.emit("error", error);
  }
}
