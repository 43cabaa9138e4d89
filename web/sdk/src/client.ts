import type { BackoffOptions } from "./backoff.js";
import { type AccessToken, Connection, type ConnectionState } from "./connection.js";
import { diagnose, type DiagnoseOptions } from "./diagnose.js";
import type { Diagnosis } from "./diagnosis.js";
import { Emitter, type Unsubscribe } from "./emitter.js";
import { ConnectionError, PeerageError, ServerError } from "./errors.js";
import { ladder } from "./ladder.js";
import type { LivenessOptions } from "./liveness.js";
import { LocalMedia } from "./media.js";
import type {
  ClientMessage,
  Limits,
  Meeting,
  ServerMessage,
  Snapshot,
  Welcome,
} from "./messages.js";
import type { Entry, Settle } from "./outbox.js";
import { Room } from "./room.js";
import type { Self } from "./room_events.js";
import type { Account } from "./room_messages.js";
import type { RoomPort } from "./room_port.js";
import { Seal } from "./sealing.js";
import { keepTime } from "./timers.js";
import type { TransportFactory } from "./transport.js";
import { transports } from "./transports.js";
import { onNetworkChange, onWake } from "./wake.js";
import type { WebSocketConstructor } from "./websocket.js";

/** How a {@link Client} reaches its server and its peers. */
export interface ClientOptions {
  /** Where the server is, such as `wss://call.example.org/v1/ws`. */
  readonly url: string;
  /**
   * The access token, where the server asks for one: itself, or a function that gets one from your
   * own server. The function is called for every connection, and ahead of the token's expiry. A
   * token that was given as it is cannot be renewed: when it has expired, the client closes with
   * the code `unauthorized`.
   */
  readonly accessToken?: AccessToken;
  /** `"relay"` hides this side's addresses from the others. Default: `"all"`. */
  readonly iceTransportPolicy?: RTCIceTransportPolicy;
  /** Named in the server's log. */
  readonly name?: string;
  /** How much a data channel may hold unsent. Default: 1 MiB. */
  readonly bufferBytes?: number;
  /** The waits between attempts to connect. Default: up to 500 ms, doubled up to 20 s. */
  readonly backoff?: BackoffOptions;
  /** How a dead connection is found out. Default: a ping after 10 s, given up 5 s later. */
  readonly liveness?: LivenessOptions;
  /**
   * What carries the messages. Default: a WebSocket; where the network passes none, a stream of
   * events, requests that the server holds, or polls; and the WebSocket again once it passes.
   */
  readonly transport?: TransportFactory;
  /** What WebSockets are made with, where the platform has none, as in Node 20. */
  readonly webSocket?: WebSocketConstructor;
  /** Makes peer connections. Default: the browser's own. */
  readonly createPeerConnection?: (configuration: RTCConfiguration) => RTCPeerConnection;
}

/** What one joins a room with. */
export interface JoinOptions extends Self {
  /**
   * Whether to wait to be let in if the room is locked. {@link ClientEvents.knocking} tells that one
   * waits; the promise resolves or rejects when it is over.
   */
  readonly knock?: boolean;
  /**
   * What only the members share, as {@link newRoomKey} makes it: whoever has another key, or none,
   * comes into another room, and the server can neither read nor change what members tell each
   * other through it. The name is what the key belongs to, and stays with the members, too.
   */
  readonly key?: string;
  /** What to send; may be shared between rooms, and changed at any time. */
  readonly media?: LocalMedia;
}

/** What a {@link Client} tells. */
export interface ClientEvents {
  /** The connection to the server has changed. Calls go on without it. */
  state: ConnectionState;
  /**
   * The server has sent the client to another one, such as `https://green.example.org`, because it
   * stops. The session and the calls go on there by themselves.
   */
  moved: { readonly server: string };
  /** A session has begun; after the first one, because the server had lost the one before. */
  session: { readonly session: string };
  /** A `join` waits until somebody lets this session in, for so many milliseconds. */
  knocking: { readonly room: string; readonly expiresIn: number };
  /** The server refused something that belongs to no room. */
  error: PeerageError;
  /** The client is closed for good, and with it every room. */
  closed: PeerageError;
}

/** How the server refuses an offer, answer or candidate for whom one meets no more. */
const RACES: ReadonlySet<string> = new Set(["no_such_member", "stale_epoch"]);

/**
 * So much longer than the server lets them come the others are waited for after its restart: what
 * it has to say of the last of them takes a while.
 */
const RETURNING = 35_000;

const VERSION = "@peerage/client 0.1.0";
const BUFFER_BYTES = 1 << 20;
const BACKOFF: BackoffOptions = { base: 500, ceiling: 20_000 };
const LIVENESS: LivenessOptions = { quiet: 10_000, patience: 5_000 };

/** A session with a server. It connects at once, and again whenever the connection is lost. */
export class Client extends Emitter<ClientEvents> {
  readonly #options: ClientOptions;
  readonly #connection: Connection;
  readonly #rooms = new Map<string, Room>();
  readonly #createConnection: (configuration: RTCConfiguration) => RTCPeerConnection;
  /** The rooms whose `join` has no answer yet. */
  readonly #joining = new Map<string, Room>();
  readonly #stopping: readonly Unsubscribe[];
  #welcome: Welcome | undefined;
  /** How much was said to peers. */
  #said = 0;
  #iceServers: readonly RTCIceServer[] = [];

  constructor(options: ClientOptions) {
    super();
    this.#options = options;
    this.#createConnection =
      options.createPeerConnection ?? ((configuration) => new RTCPeerConnection(configuration));
    this.#connection = new Connection({
      url: options.url,
      client: options.name ?? VERSION,
      accessToken: options.accessToken,
      transport: options.transport ?? ladder(Object.values(transports(options.webSocket))),
      backoff: options.backoff ?? BACKOFF,
      liveness: options.liveness ?? LIVENESS,
      random: () => Math.random(),
      now: () => performance.now(),
    });
    this.#listen();
    this.#stopping = [
      keepTime(),
      onWake(() => this.#connection.wake()),
      onNetworkChange(() => this.#move()),
    ];
    this.#connection.open();
  }

  /** How the connection to the server stands. */
  get state(): ConnectionState {
    return this.#connection.state;
  }

  /** The public id of the session, once there is one. */
  get session(): string | undefined {
    return this.#welcome?.session;
  }

  /** What the server enforces, once it has said so. */
  get limits(): Limits | undefined {
    return this.#welcome?.limits;
  }

  /** The rooms that the session is in, by the names that the server knows. */
  get rooms(): ReadonlyMap<string, Room> {
    return this.#rooms;
  }

  /**
   * Joins a room. While there is no connection it waits for one.
   *
   * Whoever is in the room already is in {@link Room.peers} when the promise resolves; the events
   * tell only of those who come later.
   *
   * @throws {@link ServerError} when the server refuses, such as `room_full`;
   * {@link PeerageError} `insecure_context` where the browser lets this page use no keys
   */
  async join(name: string, options: JoinOptions = {}): Promise<Room> {
    const { media = new LocalMedia(), knock, key, ...self } = options;
    const seal = key === undefined ? undefined : await Seal.of(name, key);
    const room = new Room(name, self, media, this.#roomPort(), seal);
    const { serverName } = room;
    if (this.#rooms.has(serverName)) {
      throw new ServerError("already_joined", `already in the room "${name}"`);
    }
    room.on("closed", () => {
      if (this.#rooms.get(serverName) === room) this.#rooms.delete(serverName);
    });
    return new Promise((resolve, reject) => {
      this.#join(room, () => resolve(room), reject, { ...(knock && { knock }) });
    });
  }

  /**
   * Tests what the network lets pass, without touching the rooms: the transports to the server, and
   * STUN and each kind of relay with bytes that come back. It takes as long as the slowest of them,
   * which behind a firewall is all the time that it is given.
   *
   * Never rejects because something does not pass, but with the reason of `options.signal`.
   */
  diagnose(options: DiagnoseOptions = {}): Promise<Diagnosis> {
    const { webSocket, name, accessToken, iceTransportPolicy } = this.#options;
    const subject = {
      url: this.#connection.url,
      hello: { type: "hello", version: 1, client: name ?? VERSION },
      accessToken,
      transports: transports(webSocket),
      createConnection: this.#createConnection,
      relayOnly: iceTransportPolicy === "relay",
    };
    return diagnose(subject, options);
  }

  /** Leaves all rooms and ends the session. */
  close(): void {
    this.#connection.close();
  }

  #listen(): void {
    this.#connection.on("state", (state) => this.emit("state", state));
    this.#connection.on("welcome", ({ welcome, lost }) => this.#greet(welcome, lost));
    this.#connection.on("moved", (server) => this.emit("moved", { server }));
    this.#connection.on("message", (message) => this.#receive(message));
    this.#connection.on("refused", ({ error, message }) => {
      if (message && "to" in message) {
        this.#rooms.get(message.room)?.undelivered(message.to, message.nr);
      }
      // The addressee has left, or is met anew, while this was under way: nobody's fault.
      if (message && "to" in message && RACES.has(error.code)) return;
      const room = message && "room" in message ? this.#rooms.get(message.room) : undefined;
      if (room) room.refused(error, message && "to" in message ? message.to : undefined);
      else this.emit("error", error);
    });
    this.#connection.on("closed", (error) => {
      for (const stop of this.#stopping) stop();
      for (const room of [...this.#rooms.values()]) room.close(error);
      this.emit("closed", error);
    });
  }

  #greet(welcome: Welcome, lost: readonly Entry[]): void {
    this.#welcome = welcome;
    this.#useIceServers(welcome.ice_servers);
    const goesOn = welcome.resumed !== "none";
    for (const room of this.#rooms.values()) {
      if (goesOn) room.await(welcome.resume_window_ms + RETURNING);
      else room.forget(lostSession());
    }
    if (welcome.resumed === "full" || welcome.resumed === "snapshot") {
      for (const room of this.#rooms.values()) room.resumed();
      return;
    }
    if (!goesOn) this.emit("session", { session: welcome.session });
    for (const room of this.#rooms.values()) this.#rejoin(room, goesOn);
    for (const { id, message, settle } of lost) {
      // The session is in no room, so there is nothing to leave; and what an update was to say
      // the room says when it joins again. Offers and candidates were for an epoch that is over; if
      // the meeting goes on, the peers say them again. They wait for no answer.
      const room = "room" in message ? this.#rooms.get(message.room) : undefined;
      if (message.type === "broadcast" && goesOn && room) {
        if (settle) room.repeat({ ...message, nr: message.nr ?? id }, settle);
      } else if (message.type === "leave" || message.type === "update") {
        settle?.resolve(undefined);
      } else if (message.type !== "join" || !room) settle?.reject(lostSession());
    }
  }

  #rejoin(room: Room, goesOn: boolean): void {
    const meetings = goesOn ? room.hold() : [];
    const done = () => {
      if (!goesOn) room.emit("rejoined", undefined);
    };
    this.#join(room, done, (error) => room.close(error), {
      knock: true,
      ...(meetings.length > 0 && { meetings }),
    });
  }

  #join(
    room: Room,
    done: () => void,
    failed: (error: PeerageError) => void,
    terms: { readonly knock?: boolean; readonly meetings?: readonly Meeting[] },
  ): void {
    const over = (then: () => void) => {
      this.#joining.delete(room.serverName);
      then();
    };
    this.#joining.set(room.serverName, room);
    const settle: Settle = {
      resolve: (answer) => {
        const isNew = this.#rooms.get(room.serverName) !== room;
        this.#rooms.set(room.serverName, room);
        room.enter(answer as Account, isNew, () => over(done));
      },
      reject: (error) => {
        // Another session asks for itself.
        if (error.code === "session_lost") this.#join(room, done, failed, terms);
        else over(() => failed(error));
      },
    };
    const ask = (self: Self) => {
      this.#connection.send({ type: "join", room: room.serverName, ...self, ...terms }, settle);
    };
    if (!room.seal) {
      ask(room.self);
      return;
    }
    this.#sealSelf(room, room.seal)
      .then(ask)
      .catch((error: unknown) => settle.reject(error as PeerageError));
  }

  /** What to tell of this member, under the seal of the session that tells it. */
  async #sealSelf(room: Room, seal: Seal): Promise<Self> {
    for (;;) {
      const session = this.session ?? (await this.#firstSession());
      const self = await room.sealSelf(seal);
      if (session === this.session) return self;
    }
  }

  #firstSession(): Promise<string> {
    if (this.state === "closed") {
      return Promise.reject(new ConnectionError("closed", "the client is closed"));
    }
    return new Promise((resolve, reject) => {
      this.on("session", ({ session }) => resolve(session));
      this.on("closed", reject);
    });
  }

  #receive(message: ServerMessage): void {
    switch (message.type) {
      case "presence":
      case "offer":
      case "answer":
      case "candidate":
        this.#rooms.get(message.room)?.handle(message);
        return;
      case "role":
      case "room":
      case "state":
      case "knock":
      case "removed":
      case "broadcast":
        this.#rooms.get(message.room)?.hear(message);
        return;
      case "knocking":
        this.emit("knocking", {
          room: this.#joining.get(message.room)?.name ?? message.room,
          expiresIn: message.expires_in_ms,
        });
        return;
      case "snapshot":
        this.#see(message);
        return;
      case "delivered":
        for (const room of this.#rooms.values()) room.delivered(message.to, message.through);
        return;
      case "ice_servers":
        this.#useIceServers(message.ice_servers);
        return;
      default:
    }
  }

  /** What a snapshot does not have is over, unless it is about to be. */
  #see({ rooms }: Snapshot): void {
    const accounts = new Map(rooms.map((account) => [account.room, account]));
    for (const [name, room] of [...this.#rooms]) {
      const account = accounts.get(name);
      if (account) room.enter(account);
      else if (!this.#joining.has(name)) {
        room.close(new PeerageError("removed", "in the room no more"));
      }
    }
  }

  /** Peers hear of it first: what they have to say goes out with the session's next breath. */
  #move(): void {
    for (const room of this.#rooms.values()) room.moved();
    this.#connection.moved();
  }

  #useIceServers(servers: readonly RTCIceServer[]): void {
    this.#iceServers = servers;
    for (const room of this.#rooms.values()) room.configure(this.#configuration());
  }

  #configuration(): RTCConfiguration {
    return {
      iceServers: [...this.#iceServers],
      iceTransportPolicy: this.#options.iceTransportPolicy ?? "all",
    };
  }

  #roomPort(): RoomPort {
    return {
      createConnection: () => this.#createConnection(this.#configuration()),
      send: (message, settle) => this.#connection.send(message, settle),
      request: (message) => this.#request(message),
      number: () => ++this.#said,
      session: () => this.session ?? "",
      isConnected: () => this.state === "connected",
      doubtServer: () => this.#connection.doubt(),
      bufferBytes: this.#options.bufferBytes ?? BUFFER_BYTES,
    };
  }

  #request<Answer>(message: ClientMessage): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#connection.send(message, { resolve: (answer) => resolve(answer as Answer), reject });
    });
  }
}

function lostSession(): PeerageError {
  return new PeerageError("session_lost", "the server has lost the session that asked for this");
}
