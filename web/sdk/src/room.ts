import type { ChannelData } from "./channel.js";
import { Emitter } from "./emitter.js";
import { ConnectionError, PeerageError } from "./errors.js";
import type { LocalMedia } from "./media.js";
import type {
  ClientMessage,
  Joined,
  Json,
  LeaveReason,
  Meeting,
  Member,
  Presence,
  Signal,
} from "./messages.js";
import type { Entry } from "./outbox.js";
import { Peer } from "./peer.js";

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
  /** The server had lost this session, and a new one has joined the room in its place. */
  rejoined: undefined;
  /** Something has failed that the library could not mend; `peer` is whom it concerns. */
  error: { readonly error: PeerageError; readonly peer?: Peer };
  /** This side is in the room no more. `error` says why, unless it left by itself. */
  closed: { readonly error?: PeerageError };
}

/** What became of {@link Room.broadcast}. */
export interface BroadcastResult {
  /** To whom the data is on its way. */
  readonly sent: readonly Peer[];
  /** To whom it could not be sent, and why. */
  readonly failed: readonly { readonly peer: Peer; readonly error: PeerageError }[];
}

/** @internal What a room is given. */
export interface RoomPort {
  createConnection(): RTCPeerConnection;
  send(message: ClientMessage): Entry;
  request(message: ClientMessage): Promise<void>;
  isConnected(): boolean;
  doubtServer(): void;
  readonly bufferBytes: number;
}

/** A room that this session is a member of. */
export class Room extends Emitter<RoomEvents> {
  /** The name under which it was joined. */
  readonly name: string;
  /** What is sent to everyone here. */
  readonly media: LocalMedia;
  readonly #port: RoomPort;
  readonly #peers = new Map<string, Peer>();
  /** Those who were here before the server was restarted, and have not come back yet. */
  readonly #awaited = new Set<string>();
  #patience: ReturnType<typeof setTimeout> | undefined;
  #self: Self;
  #closed = false;

  /** @internal */
  constructor(name: string, self: Self, media: LocalMedia, port: RoomPort) {
    super();
    this.name = name;
    this.media = media;
    this.#self = self;
    this.#port = port;
  }

  /** The others, by the ids of their sessions. */
  get peers(): ReadonlyMap<string, Peer> {
    return this.#peers;
  }

  /** What the others see of this member. */
  get self(): Self {
    return this.#self;
  }

  /** Changes what the others see; what is left out stays. Resolves once the server has it. */
  update(self: Self): Promise<void> {
    if (this.#closed) return Promise.reject(gone());
    this.#self = { ...this.#self, ...self };
    return this.#port.request({ type: "update", room: this.name, ...self });
  }

  /** Sends to everyone over the built-in channels. */
  broadcast(data: ChannelData): BroadcastResult {
    const sent: Peer[] = [];
    const failed: { peer: Peer; error: PeerageError }[] = [];
    for (const peer of this.#peers.values()) {
      try {
        peer.send(data);
        sent.push(peer);
      } catch (error) {
        if (!(error instanceof PeerageError)) throw error;
        failed.push({ peer, error });
      }
    }
    return { sent, failed };
  }

  /** Leaves the room and closes the connections to everyone in it. */
  async leave(): Promise<void> {
    if (this.#closed) return;
    const left = this.#port.request({ type: "leave", room: this.name });
    this.close();
    await left;
  }

  /** @internal The server's account of who is here. Whoever is awaited may still come. */
  enter(members: Joined["members"]): void {
    const here = new Set([...members.map(({ session }) => session), ...this.#awaited]);
    for (const peer of [...this.#peers.values()]) {
      if (!here.has(peer.session)) this.#part(peer, "replaced");
    }
    for (const member of members) this.#meet(member);
  }

  /**
   * @internal The server has been restarted. It knows nobody, and the others come back one by one:
   * they are waited for, and what flows between them and this side flows on.
   *
   * @returns what to tell the server of the meetings that have not ended
   */
  hold(): Meeting[] {
    for (const peer of this.#peers.values()) {
      peer.hold();
      this.#awaited.add(peer.session);
    }
    return [...this.#peers.values()].map(({ meeting }) => meeting);
  }

  /** @internal The server remembers nobody: there is nobody to wait for. */
  forget(): void {
    this.#awaited.clear();
  }

  /** @internal So long the others may take to come back, in milliseconds from now. */
  await(patience: number): void {
    clearTimeout(this.#patience);
    this.#patience = setTimeout(() => {
      for (const session of [...this.#awaited]) {
        const peer = this.#peers.get(session);
        if (peer) this.#part(peer, "expired");
      }
    }, patience);
  }

  /** @internal */
  delivered(to: string, through: number): void {
    this.#peers.get(to)?.delivered(through);
  }

  /** @internal */
  handle(message: Presence | Signal): void {
    if (this.#closed) return;
    if (message.type === "presence") this.#meet(message.member);
    else this.#peers.get(message.from)?.handle(message);
  }

  /** @internal */
  configure(configuration: RTCConfiguration): void {
    for (const peer of this.#peers.values()) peer.configure(configuration);
  }

  /** @internal This device has another network now. */
  moved(): void {
    for (const peer of this.#peers.values()) peer.moved();
  }

  /** @internal The server can be reached again, and the session has gone on. */
  resumed(): void {
    for (const peer of this.#peers.values()) peer.resumed();
  }

  /** @internal What has this number did not reach the peer, and is not to be said again. */
  undelivered(to: string, nr: number | undefined): void {
    this.#peers.get(to)?.refused(nr);
  }

  /** @internal */
  refused(error: PeerageError, to: string | undefined): void {
    const peer = to === undefined ? undefined : this.#peers.get(to);
    this.emit("error", { error, ...(peer && { peer }) });
  }

  /** @internal */
  close(error?: PeerageError): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#patience);
    for (const peer of this.#peers.values()) peer.close("left");
    this.#peers.clear();
    this.emit("closed", { ...(error && { error }) });
  }

  #meet(member: Member): void {
    const known = this.#peers.get(member.session);
    const awaited = this.#awaited.delete(member.session);
    if (member.state === "left") {
      if (known) this.#part(known, member.reason ?? "left");
    } else if (known?.epoch === member.epoch) {
      known.update(member);
      this.emit("peerupdated", known);
    } else if (known && awaited && known.epoch === member.continues) {
      known.goOn(member);
      this.emit("peerupdated", known);
    } else {
      if (known) this.#part(known, "replaced");
      this.#welcome(member);
    }
  }

  #welcome(member: Member): void {
    const peer = new Peer(member, {
      createConnection: () => this.#port.createConnection(),
      send: (type, to, epoch, nr, body) =>
        this.#port.send({ type, room: this.name, to, epoch, nr, body }),
      isConnected: () => this.#port.isConnected(),
      doubtServer: () => this.#port.doubtServer(),
      media: this.media,
      bufferBytes: this.#port.bufferBytes,
    });
    this.#peers.set(peer.session, peer);
    peer.on("error", (error) => this.emit("error", { error, peer }));
    this.emit("peerjoined", peer);
  }

  #part(peer: Peer, reason: LeaveReason): void {
    this.#awaited.delete(peer.session);
    this.#peers.delete(peer.session);
    peer.close(reason);
    this.emit("peerleft", { peer, reason });
  }
}

function gone(): PeerageError {
  return new ConnectionError("closed", "this side is in the room no more");
}
