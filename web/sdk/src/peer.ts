import type { Channel, ChannelData } from "./channel.js";
import { Emitter } from "./emitter.js";
import { NegotiationError } from "./errors.js";
import { Link, type LinkEvents } from "./link.js";
import type { LocalMedia } from "./media.js";
import type {
  Json,
  LeaveReason,
  Meeting,
  Member,
  MemberState,
  Signal,
  SignalType,
} from "./messages.js";
import type { Entry } from "./outbox.js";
import { type Path, PathMeter } from "./path.js";
import type { RemoteTrack } from "./receiving.js";
import type { Role } from "./room_messages.js";
import { Recovery } from "./recovery.js";
import { Unconfirmed } from "./unconfirmed.js";

/** What a {@link Peer} tells. */
export interface PeerEvents extends LinkEvents {
  /** Its name, its data or its presence has changed. */
  update: undefined;
  /**
   * The connection to it was beyond repair, and another one has taken its place. What it sends is
   * told of anew, the built-in channel opens anew and further channels are closed; what had been
   * sent over them and was still on its way is lost.
   */
  rebuilt: undefined;
  /** It has left, or was met anew under another epoch; this object is of no more use. */
  left: LeaveReason;
}

/** @internal What a peer is given. */
export interface PeerPort {
  createConnection(): RTCPeerConnection;
  send(type: SignalType, to: string, epoch: number, nr: number, body: unknown): Entry;
  /** Seals what only the peer is to read. */
  readonly seal?: (type: SignalType, body: unknown) => Promise<unknown>;
  /** A number for what is said, larger than those before. */
  number(): number;
  /** Whether what is sent reaches the server at once. */
  isConnected(): boolean;
  doubtServer(): void;
  readonly media: LocalMedia;
  readonly bufferBytes: number;
}

/** What a link tells is told on. */
const TOLD_ON: readonly (keyof LinkEvents)[] = [
  "connection",
  "pathchange",
  "track",
  "trackremoved",
  "open",
  "message",
  "channel",
  "error",
];
/** Whoever asks for another connection more often than this is up to no good, in milliseconds. */
const BETWEEN_REBUILDS = 2_000;

/** Another member of a room, and the connection to it. */
export class Peer extends Emitter<PeerEvents> {
  /** The public id of its session. */
  readonly session: string;
  readonly #port: PeerPort;
  readonly #recovery: Recovery;
  readonly #meter = new PathMeter();
  readonly #unconfirmed: Unconfirmed;
  #link: Link;
  /** The number of the last that was heard. */
  #heard = 0;
  /** How often the connection was replaced by another one. */
  #rebuilds = 0;
  #rebuiltAt = -Infinity;
  #member: Member;

  /** @internal */
  constructor(member: Member, port: PeerPort) {
    super();
    this.session = member.session;
    this.#member = member;
    this.#port = port;
    this.#unconfirmed = new Unconfirmed(
      (type, body, nr) => port.send(type, this.session, this.epoch, nr, body),
      () => port.number(),
    );
    this.#recovery = new Recovery({
      canNegotiate: () => port.isConnected() && this.state === "joined",
      doubtServer: () => port.doubtServer(),
      rebuild: () => this.#rebuild(this.#rebuilds + 1),
    });
    this.#link = this.#connect();
  }

  /** Which meeting of the two this is. @internal */
  get epoch(): number {
    return this.#member.epoch;
  }

  /** What to tell a server that was restarted of this meeting. @internal */
  get meeting(): Meeting {
    const { session, epoch, polite } = this.#member;
    return { session, epoch, polite };
  }

  /** What it calls itself. */
  get name(): string | undefined {
    return this.#member.name;
  }

  /** What its application says about it. */
  get data(): Json | undefined {
    return this.#member.data;
  }

  /** What it is in the room. */
  get role(): Role {
    return this.#member.role ?? "member";
  }

  /** Whether its connection to the server lives. Media flows regardless. */
  get state(): MemberState {
    return this.#member.state;
  }

  /** The state of the connection to it. */
  get connectionState(): RTCPeerConnectionState {
    return this.#link.connection.connectionState;
  }

  /** What it sends at present. */
  get tracks(): readonly RemoteTrack[] {
    return this.#link.tracks;
  }

  /**
   * Sends over the built-in channel, which is reliable and keeps the order.
   *
   * @throws {@link ChannelError} as {@link Channel.send} does
   */
  send(data: ChannelData): void {
    this.#link.send(data);
  }

  /** Resolves once `send` has room again after `channel_buffer_full`. */
  drained(): Promise<void> {
    return this.#link.drained();
  }

  /** Opens a further channel; the other side gets it in a `channel` event. */
  openChannel(label: string, options?: RTCDataChannelInit): Channel {
    return this.#link.openChannel(label, options);
  }

  /** How media and data flow, or undefined while they do not. */
  async path(): Promise<Path | undefined> {
    return this.#meter.read(await this.#link.connection.getStats());
  }

  /** The browser's own statistics, for whatever {@link Peer.path} does not tell. */
  getStats(): Promise<RTCStatsReport> {
    return this.#link.connection.getStats();
  }

  /** @internal */
  update(member: Member): void {
    const hasReturned = this.state === "suspended" && member.state === "joined";
    this.#member = member;
    if (hasReturned) this.#recovery.returned();
    this.emit("update", undefined);
  }

  /** @internal The server has been restarted, and does not know the peer yet. */
  hold(): void {
    this.#unconfirmed.hold();
  }

  /** @internal The meeting goes on under another epoch. */
  goOn(member: Member): void {
    this.update(member);
    this.#unconfirmed.release();
    this.#recovery.resumed();
  }

  /** @internal Everything up to this id has arrived there. */
  delivered(through: number): void {
    this.#unconfirmed.delivered(through);
  }

  /** @internal The server has refused something that was said to it. */
  refused(nr: number | undefined): void {
    this.#unconfirmed.refused(nr);
  }

  /** @internal */
  handle(signal: Signal): void {
    if (signal.epoch !== this.epoch) return;
    const { nr = this.#heard + 1 } = signal;
    if (nr <= this.#heard) return;
    this.#heard = nr;
    const rebuilds = rebuildsOf(signal.body);
    if (signal.type === "offer" && rebuilds > this.#rebuilds && this.#mayRebuild) {
      this.#rebuild(rebuilds);
    }
    if (rebuilds === this.#rebuilds) this.#link.handle(signal.type, signal.body);
  }

  /** @internal */
  configure(configuration: RTCConfiguration): void {
    this.#link.connection.setConfiguration(configuration);
    void this.#recovery.renewed();
  }

  /** @internal This device has another network now. */
  moved(): void {
    this.#recovery.moved();
  }

  /** @internal The server can be reached again. */
  resumed(): void {
    this.#recovery.resumed();
  }

  /** @internal */
  close(reason: LeaveReason): void {
    this.#member = { ...this.#member, state: "left", reason };
    this.#recovery.stop();
    this.#link.close();
    this.emit("left", reason);
  }

  get #mayRebuild(): boolean {
    return performance.now() - this.#rebuiltAt >= BETWEEN_REBUILDS;
  }

  #rebuild(rebuilds: number): void {
    const old = this.#link;
    for (const track of old.tracks) this.emit("trackremoved", track);
    this.#rebuilds = rebuilds;
    this.#rebuiltAt = performance.now();
    this.#link = this.#connect();
    old.close();
    this.emit("rebuilt", undefined);
  }

  #say(type: SignalType, body: object | null): void {
    const { seal } = this.#port;
    if (!seal) {
      this.#unconfirmed.say(type, body);
      return;
    }
    seal(type, body)
      .then((sealed) => {
        if (this.state !== "left") this.#unconfirmed.say(type, sealed);
      })
      .catch((cause: unknown) => {
        const message = `the ${type} could not be sent`;
        this.emit("error", new NegotiationError("negotiation_failed", message, { cause }));
      });
  }

  #connect(): Link {
    const rebuilds = this.#rebuilds;
    const { media, bufferBytes } = this.#port;
    const link = new Link(this.#port.createConnection(), {
      polite: this.#member.polite,
      media,
      bufferBytes,
      send: (type, body) => {
        if (rebuilds === 0) this.#say(type, body);
        else if (body) this.#say(type, { ...body, rebuilds });
      },
    });
    for (const name of TOLD_ON) {
      link.on(name, (event) => {
        if (link === this.#link) this.emit(name, event);
      });
    }
    this.#recovery.watch(link.connection);
    return link;
  }
}

/** Which of the connections to a peer something belongs to: none counts as the first. */
function rebuildsOf(body: unknown): number {
  const { rebuilds = 0 } = (body ?? {}) as { readonly rebuilds?: unknown };
  return Number.isSafeInteger(rebuilds) ? (rebuilds as number) : 0;
}
