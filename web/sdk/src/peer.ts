import { Channel, type ChannelData } from "./channel.js";
import { Emitter } from "./emitter.js";
import { NegotiationError, type PeerageError } from "./errors.js";
import type { LocalMedia } from "./media.js";
import type { Json, LeaveReason, Member, MemberState, Signal, SignalType } from "./messages.js";
import { Negotiation } from "./negotiation.js";
import { type Path, PathMeter, watchPath } from "./path.js";
import { Receiving, type RemoteTrack } from "./receiving.js";
import { Recovery } from "./recovery.js";
import { Sending } from "./sending.js";

/** What a {@link Peer} tells. */
export interface PeerEvents {
  /** Its name, its data or its presence has changed. */
  update: undefined;
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
  /** It has left, or was met anew under another epoch; this object is of no more use. */
  left: LeaveReason;
}

/** @internal What a peer is given. */
export interface PeerPort {
  createConnection(): RTCPeerConnection;
  send(type: SignalType, to: string, epoch: number, body: unknown): void;
  readonly media: LocalMedia;
  readonly bufferBytes: number;
}

const BUILT_IN = "peerage";
const DEFAULT_MESSAGE_BYTES = 65_536;

/** Another member of a room, and the connection to it. */
export class Peer extends Emitter<PeerEvents> {
  /** The public id of its session. */
  readonly session: string;
  /** Which meeting of the two this is. @internal */
  readonly epoch: number;
  readonly #port: PeerPort;
  readonly #connection: RTCPeerConnection;
  readonly #negotiation: Negotiation;
  readonly #sending: Sending;
  readonly #receiving: Receiving;
  readonly #recovery: Recovery;
  readonly #channel: Channel;
  readonly #meter = new PathMeter();
  #member: Member;

  /** @internal */
  constructor(member: Member, port: PeerPort) {
    super();
    this.session = member.session;
    this.epoch = member.epoch;
    this.#member = member;
    this.#port = port;
    this.#connection = port.createConnection();
    this.#receiving = new Receiving(this.#connection, {
      added: (track) => this.emit("track", track),
      removed: (track) => this.emit("trackremoved", track),
    });
    this.#recovery = new Recovery(this.#connection);
    this.#negotiation = this.#negotiate(member.polite);
    // Negotiated on both sides alike, so that there is something to connect for without media.
    this.#channel = this.#wrap(
      this.#connection.createDataChannel(BUILT_IN, { negotiated: true, id: 0 }),
    );
    this.#channel.on("open", () => this.emit("open", undefined));
    this.#channel.on("message", (data) => this.emit("message", data));
    this.#sending = new Sending(this.#connection, port.media, (cause) => {
      this.#fail(new NegotiationError("negotiation_failed", "a track was refused", { cause }));
    });
    this.#connection.addEventListener("connectionstatechange", () => {
      this.emit("connection", this.#connection.connectionState);
    });
    watchPath(this.#connection, () => this.emit("pathchange", undefined));
    this.#connection.addEventListener("datachannel", ({ channel }) => {
      this.emit("channel", this.#wrap(channel));
    });
  }

  /** What it calls itself. */
  get name(): string | undefined {
    return this.#member.name;
  }

  /** What its application says about it. */
  get data(): Json | undefined {
    return this.#member.data;
  }

  /** Whether its connection to the server lives. Media flows regardless. */
  get state(): MemberState {
    return this.#member.state;
  }

  /** The state of the connection to it. */
  get connectionState(): RTCPeerConnectionState {
    return this.#connection.connectionState;
  }

  /** What it sends at present. */
  get tracks(): readonly RemoteTrack[] {
    return this.#receiving.tracks;
  }

  /**
   * Sends over the built-in channel, which is reliable and keeps the order.
   *
   * @throws {@link ChannelError} as {@link Channel.send} does
   */
  send(data: ChannelData): void {
    this.#channel.send(data);
  }

  /** Resolves once `send` has room again after `channel_buffer_full`. */
  drained(): Promise<void> {
    return this.#channel.drained();
  }

  /** Opens a further channel; the other side gets it in a `channel` event. */
  openChannel(label: string, options?: RTCDataChannelInit): Channel {
    return this.#wrap(this.#connection.createDataChannel(label, options));
  }

  /** How media and data flow, or undefined while they do not. */
  async path(): Promise<Path | undefined> {
    return this.#meter.read(await this.#connection.getStats());
  }

  /** The browser's own statistics, for whatever {@link Peer.path} does not tell. */
  getStats(): Promise<RTCStatsReport> {
    return this.#connection.getStats();
  }

  /** @internal */
  update(member: Member): void {
    this.#member = member;
    this.emit("update", undefined);
  }

  /** @internal */
  handle(signal: Signal): void {
    if (signal.epoch === this.epoch) this.#negotiation.handle(signal.type, signal.body);
  }

  /** @internal */
  configure(configuration: RTCConfiguration): void {
    this.#connection.setConfiguration(configuration);
  }

  /** @internal */
  close(reason: LeaveReason): void {
    this.#member = { ...this.#member, state: "left", reason };
    this.#negotiation.stop();
    this.#recovery.stop();
    this.#sending.stop();
    this.#connection.close();
    this.emit("left", reason);
  }

  #negotiate(polite: boolean): Negotiation {
    return new Negotiation(this.#connection, polite, {
      send: (type, body) => this.#port.send(type, this.session, this.epoch, body),
      labels: () => this.#sending.labels(),
      expect: (labels) => this.#receiving.expect(labels),
      failed: (error) => this.#fail(error),
    });
  }

  #wrap(channel: RTCDataChannel): Channel {
    return new Channel(channel, {
      bufferBytes: this.#port.bufferBytes,
      messageBytes: () => this.#connection.sctp?.maxMessageSize ?? DEFAULT_MESSAGE_BYTES,
    });
  }

  #fail(error: PeerageError): void {
    this.emit("error", error);
  }
}
