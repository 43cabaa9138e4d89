import type { ChannelData } from "./channel.js";
import { Emitter } from "./emitter.js";
import { ConnectionError, PeerageError } from "./errors.js";
import type { LocalMedia } from "./media.js";
import type { ClientMessage, Json, Meeting, Member, Presence, Signal } from "./messages.js";
import { Opening } from "./opening.js";
import type { Settle } from "./outbox.js";
import { Peer, type PeerPort } from "./peer.js";
import type { Broadcast } from "./repeats.js";
import type { RoomEvents, Self, SendResult } from "./room_events.js";
import { RoomKnocks } from "./room_knocks.js";
import { RoomMembers } from "./room_members.js";
import type {
  Account,
  BroadcastReceipt,
  Duplicates,
  Knocker,
  Permission,
  Role,
  RoomNews,
  RoomSettings,
} from "./room_messages.js";
import type { RoomPort } from "./room_port.js";
import { RoomState, type StateOptions } from "./room_state.js";
import {
  aboutBroadcast,
  aboutMember,
  aboutSignal,
  aboutState,
  openAccount,
  openMessage,
  openNews,
} from "./sealed_room.js";
import type { Seal } from "./sealing.js";

/** A room that this session is a member of. */
export class Room extends Emitter<RoomEvents> {
  /** The name under which it was joined. */
  readonly name: string;
  /** The name that the server knows it by: the same, unless it was joined with a key. */
  readonly serverName: string;
  /** What is sent to everyone here. */
  readonly media: LocalMedia;
  readonly #port: RoomPort;
  /** @internal */
  readonly seal: Seal | undefined;
  readonly #opening: Opening;
  readonly #members: RoomMembers;
  readonly #knocks: RoomKnocks;
  /** Small values that the room keeps for its members. */
  readonly state: RoomState;
  #role: Role = "member";
  #permissions: readonly Permission[] = [];
  #settings: RoomSettings = { locked: false, limit: 0, duplicates: "allow" };
  #self: Self;
  #closed = false;

  /** @internal */
  constructor(name: string, self: Self, media: LocalMedia, port: RoomPort, seal?: Seal) {
    super();
    this.name = name;
    this.serverName = seal?.room ?? name;
    this.seal = seal;
    this.media = media;
    this.#self = self;
    this.#port = port;
    this.#opening = new Opening(seal);
    this.#members = new RoomMembers({
      connect: (member) => this.#connect(member),
      say: (message, settle) => port.send(message, settle),
      joined: (peer) => this.emit("peerjoined", peer),
      updated: (peer) => this.emit("peerupdated", peer),
      left: (peer, reason) => this.emit("peerleft", { peer, reason }),
    });
    this.#knocks = new RoomKnocks({
      waits: (knocker) => this.emit("knock", knocker),
      ended: (knocker, state) => this.emit("knockended", { knocker, state }),
    });
    this.state = new RoomState((key, value, options) => this.#setState(key, value, options));
  }

  /** What this member is here. */
  get role(): Role {
    return this.#role;
  }

  /** What this member may do here. */
  get permissions(): readonly Permission[] {
    return this.#permissions;
  }

  /** What hosts have decided about the room. */
  get settings(): RoomSettings {
    return this.#settings;
  }

  /** Who waits to be let in, by session; empty for those who may not let in. */
  get knocks(): ReadonlyMap<string, Knocker> {
    return this.#knocks.waiting;
  }

  /** From now on who wants to come in has to knock. Needs `moderate`, like all that follows. */
  lock(): Promise<void> {
    return this.#ask({ type: "set_room", room: this.serverName, locked: true });
  }

  /** Everybody may come in again. */
  unlock(): Promise<void> {
    return this.#ask({ type: "set_room", room: this.serverName, locked: false });
  }

  /** Bounds the members; null is as many as the server allows. */
  setLimit(limit: number | null): Promise<void> {
    return this.#ask({ type: "set_room", room: this.serverName, limit });
  }

  /** Says what becomes of a second session of a subject. */
  setDuplicates(duplicates: Duplicates): Promise<void> {
    return this.#ask({ type: "set_room", room: this.serverName, duplicates });
  }

  /** Lets somebody in who knocks. */
  admit(session: string): Promise<void> {
    return this.#ask({ type: "admit", room: this.serverName, session });
  }

  /** Sends somebody away who knocks; with `bar` for as long as the room lives. */
  deny(session: string, { bar = false } = {}): Promise<void> {
    return this.#ask({ type: "deny", room: this.serverName, session, bar });
  }

  /** Puts a member out; with `bar` for as long as the room lives. */
  remove(session: string, { bar = false } = {}): Promise<void> {
    return this.#ask({ type: "remove", room: this.serverName, session, bar });
  }

  /** Gives a member another role. */
  setRole(session: string, role: Role): Promise<void> {
    return this.#ask({ type: "set_role", room: this.serverName, session, role });
  }

  /**
   * Says something to all others by way of the server: in order, once, and kept for those who are
   * away for a moment. Resolves once each has got it or is gone for good. When the server is
   * restarted in between, it is said again to those who come back, behind what is said meanwhile.
   *
   * @throws {@link ServerError} such as `not_permitted`, `body_too_large`, `too_many_broadcasts`
   */
  async broadcast(body: Json): Promise<BroadcastReceipt> {
    const said = this.seal
      ? await this.seal.seal(aboutBroadcast(this.#port.session()), body)
      : body;
    const message = { type: "broadcast", room: this.serverName, body: said } as const;
    const { delivered, undeliverable } = await this.#ask<BroadcastReceipt>(message);
    return { delivered, undeliverable };
  }

  #ask<Answer>(message: ClientMessage): Promise<Answer> {
    return this.#closed ? Promise.reject(gone()) : this.#port.request(message);
  }

  async #setState(key: string, value: Json, options: StateOptions): Promise<void> {
    const { expiresIn, whilePresent, ifVersion } = options;
    await this.#ask({
      type: "set_state",
      room: this.serverName,
      key,
      // What takes an entry out has nothing to hide.
      value: this.seal && value !== null ? await this.seal.seal(aboutState(key), value) : value,
      ...(expiresIn !== undefined && { expires_in_ms: expiresIn }),
      ...(whilePresent && { while_present: true }),
      ...(ifVersion !== undefined && { if_version: ifVersion }),
    });
  }

  /** The others, by the ids of their sessions. */
  get peers(): ReadonlyMap<string, Peer> {
    return this.#members.peers;
  }

  /** What the others see of this member. */
  get self(): Self {
    return this.#self;
  }

  /** Changes what the others see; what is left out stays. Resolves once the server has it. */
  async update(self: Self): Promise<void> {
    if (this.#closed) throw gone();
    this.#self = { ...this.#self, ...self };
    const told = this.seal ? await this.sealSelf(this.seal) : self;
    await this.#ask({ type: "update", room: this.serverName, ...told });
  }

  /** @internal What the server is told of this member. */
  async sealSelf(seal: Seal): Promise<Self> {
    return { data: await seal.seal(aboutMember(this.#port.session()), this.#self) };
  }

  /** Sends to everyone over the built-in channels. */
  send(data: ChannelData): SendResult {
    const sent: Peer[] = [];
    const failed: { peer: Peer; error: PeerageError }[] = [];
    for (const peer of this.peers.values()) {
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
    const left = this.#port.request<unknown>({ type: "leave", room: this.serverName });
    this.close();
    await left;
  }

  /** @internal The server's account of the room. Whoever is awaited may still come. */
  enter(account: Account, isNew = false, entered?: () => void): void {
    this.#opening.take(account, openAccount, (opened) => {
      this.#enter(opened, isNew);
      entered?.();
    });
  }

  #enter(account: Account, isNew: boolean): void {
    this.#learn(account);
    this.#members.enter(account.members);
    const keys = this.state.replace(account.state ?? []);
    if (!isNew && keys.length > 0) this.emit("state", { keys });
  }

  #learn({ role, permissions, settings, knocks }: Account): void {
    this.#role = role;
    this.#permissions = permissions;
    this.#settings = settings;
    this.#knocks.replace(knocks ?? []);
  }

  /** @internal What has changed about the room, beside its members. */
  hear(news: RoomNews): void {
    this.#opening.take(news, openNews, (opened) => this.#hear(opened));
  }

  #hear(news: RoomNews): void {
    switch (news.type) {
      case "role":
        this.#role = news.role;
        this.#permissions = news.permissions;
        if (!news.permissions.includes("moderate")) this.#knocks.clear();
        this.emit("role", news.role);
        return;
      case "room":
        this.#settings = news.settings;
        this.emit("settings", news.settings);
        return;
      case "state":
        this.emit("state", { keys: this.state.change(news.entries) });
        return;
      case "knock": {
        const { session, name, data, state } = news;
        const given = { ...(name !== undefined && { name }), ...(data !== undefined && { data }) };
        this.#knocks.hear({ session, ...given }, state);
        return;
      }
      case "broadcast": {
        const { body, from, nr } = news;
        if (!this.#members.isNew(from, nr)) return;
        const peer = this.peers.get(from);
        this.emit("broadcast", { body, from, ...(peer && { peer }) });
        return;
      }
      case "removed":
        this.close(
          news.reason === "replaced"
            ? new PeerageError("member_replaced", "another session of yours is in the room now")
            : new PeerageError("removed", `put out of the room: ${news.reason}`),
        );
    }
  }

  /**
   * @internal The server has been restarted. It knows nobody, and the others come back one by one:
   * they are waited for, and what flows between them and this side flows on.
   *
   * @returns what to tell the server of the meetings that have not ended
   */
  hold(): Meeting[] {
    return this.#members.hold();
  }

  /** @internal A restart of the server has left open whom this has reached. */
  repeat(message: Broadcast, settle: Settle): void {
    this.#members.repeat(message, settle);
  }

  /** @internal The server remembers nobody: there is nobody to wait for. */
  forget(error: PeerageError): void {
    this.#members.forget(error);
  }

  /** @internal So long the others may take to come back, in milliseconds from now. */
  await(patience: number): void {
    this.#members.await(patience);
  }

  /** @internal */
  delivered(to: string, through: number): void {
    this.peers.get(to)?.delivered(through);
  }

  /** @internal */
  handle(message: Presence | Signal): void {
    if (this.#closed) return;
    const open = (seal: Seal) => openMessage(seal, message, this.#port.session());
    this.#opening.take(message, open, (opened) => {
      if (opened.type === "presence") this.#members.hear(opened.member);
      else this.peers.get(opened.from)?.handle(opened);
    });
  }

  /** @internal */
  configure(configuration: RTCConfiguration): void {
    for (const peer of this.peers.values()) peer.configure(configuration);
  }

  /** @internal This device has another network now. */
  moved(): void {
    for (const peer of this.peers.values()) peer.moved();
  }

  /** @internal The server can be reached again, and the session has gone on. */
  resumed(): void {
    for (const peer of this.peers.values()) peer.resumed();
  }

  /** @internal What has this number did not reach the peer, and is not to be said again. */
  undelivered(to: string, nr: number | undefined): void {
    this.peers.get(to)?.refused(nr);
  }

  /** @internal */
  refused(error: PeerageError, to: string | undefined): void {
    const peer = to === undefined ? undefined : this.peers.get(to);
    this.emit("error", { error, ...(peer && { peer }) });
  }

  /** @internal */
  close(error?: PeerageError): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#opening.close();
    this.#members.close(error ?? gone());
    this.emit("closed", { ...(error && { error }) });
  }

  #connect(member: Member): Peer {
    const peer = new Peer(member, {
      createConnection: () => this.#port.createConnection(),
      send: (type, to, epoch, nr, body) =>
        this.#port.send({ type, room: this.serverName, to, epoch, nr, body }),
      ...(this.seal && { seal: this.#sealFor(this.seal, member.session) }),
      number: () => this.#port.number(),
      isConnected: () => this.#port.isConnected(),
      doubtServer: () => this.#port.doubtServer(),
      media: this.media,
      bufferBytes: this.#port.bufferBytes,
    });
    peer.on("error", (error) => this.emit("error", { error, peer }));
    return peer;
  }

  #sealFor(seal: Seal, to: string): NonNullable<PeerPort["seal"]> {
    return (type, body) => seal.seal(aboutSignal(type, this.#port.session(), to), body);
  }
}

function gone(): PeerageError {
  return new ConnectionError("closed", "this side is in the room no more");
}
