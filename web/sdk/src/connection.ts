import { Backoff, type BackoffOptions } from "./backoff.js";
import { adviceOf, finalError } from "./close_codes.js";
import { Destination } from "./destination.js";
import { Emitter } from "./emitter.js";
import { asError, ConnectionError, type PeerageError, ServerError } from "./errors.js";
import { Inbox } from "./inbox.js";
import { Liveness, type LivenessOptions } from "./liveness.js";
import {
  type ClientMessage,
  type ConnectionMessage,
  type Numbered,
  parseServerMessage,
  type ServerMessage,
  type ServerRefusal,
  type Snapshot,
  type Welcome,
} from "./messages.js";
import { type Entry, Outbox, type Settle } from "./outbox.js";
import { Pacer } from "./pacer.js";
import { startTimer, stopTimer, type Timer } from "./timers.js";
import type { Transport, TransportEnd, TransportFactory } from "./transport.js";

/** How the connection to the server stands. `closed` is final. */
export type ConnectionState = "connecting" | "connected" | "reconnecting" | "closed";

/** What the server lets this client in by, or where to get it anew each time that it is needed. */
export type AccessToken = string | (() => Promise<string>);

/** @internal */
export interface ConnectionOptions {
  readonly url: string;
  readonly client: string;
  readonly accessToken?: AccessToken | undefined;
  readonly transport: TransportFactory;
  readonly backoff: BackoffOptions;
  readonly liveness: LivenessOptions;
  readonly random: () => number;
  readonly now: () => number;
}

/** @internal */
export interface ConnectionEvents {
  state: ConnectionState;
  /** A connection carries the session again, or a new session has begun with `lost` left over. */
  welcome: { readonly welcome: Welcome; readonly lost: readonly Entry[] };
  message: ServerMessage;
  /** The server has sent the client to another one: its base URL. */
  moved: string;
  /** The server refused a message whose sender waits for no answer. */
  refused: { readonly error: ServerError; readonly message: ClientMessage | undefined };
  closed: PeerageError;
}

const OUTBOX_CAPACITY = 1024;
/** So many messages that the server has not confirmed call for a ping, whose answer does. */
const UNCONFIRMED_BEFORE_PING = 64;
const WELCOME_WITHIN = 10_000;
/** So long a connection that is in doubt has for a sign of life. */
const DOUBTED_PATIENCE = 2_000;
/** So often in a row a fresh token may be refused before no other one is asked for. */
const REFUSALS = 3;
/** The share of the allowed rate that is used, since pings and acknowledgements count as well. */
const RATE_SHARE = 0.8;

interface Farewell {
  readonly text: string;
  readonly wait?: number;
  readonly url?: string | undefined;
}

const NO_FAREWELL: Farewell = { text: "" };

interface Credentials {
  readonly session: string;
  readonly token: string;
}

/**
 * One session with the server, over as many transports as it takes.
 *
 * @internal
 */
export class Connection extends Emitter<ConnectionEvents> {
  readonly #options: ConnectionOptions;
  readonly #destination: Destination;
  readonly #backoff: Backoff;
  readonly #outbox = new Outbox(OUTBOX_CAPACITY);
  readonly #pacer = new Pacer();
  readonly #inbox = new Inbox((seq) => this.#say({ type: "ack", seq }));
  readonly #liveness: Liveness;
  #transport: Transport | undefined;
  #state: ConnectionState = "connecting";
  #credentials: Credentials | undefined;
  #timer: Timer | undefined;
  #flushTimer: Timer | undefined;
  /** What the server said before it closed, the wait that it asked for, and where to go. */
  #farewell: Farewell = NO_FAREWELL;
  /** Until when the server wants this client to stay away. */
  #awayUntil = -Infinity;
  /** How often in a row the access token was refused. */
  #refusals = 0;
  /** For each ping on the way, the last id that had been sent before it. */
  #pings: number[] = [];
  /** What was applied, and whose answers were missed. */
  readonly #unanswered: Entry[] = [];

  constructor(options: ConnectionOptions) {
    super();
    this.#options = options;
    this.#destination = new Destination(options.url);
    this.#backoff = new Backoff(options.backoff, options.random);
    this.#liveness = new Liveness(
      options.liveness,
      () => this.#ping(),
      () => this.#lose({ code: 1006, reason: "the server is silent" }),
    );
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Where the server is. */
  get url(): string {
    return this.#destination.url;
  }

  open(): void {
    stopTimer(this.#timer);
    this.#timer = startTimer(
      () => this.#lose({ code: 1006, reason: "no welcome came" }),
      WELCOME_WITHIN,
    );
    this.#transport = this.#options.transport(this.url, {
      onOpen: () => this.#hello(),
      onMessage: (text) => this.#receive(text),
      onEnd: (end) => this.#lose(end),
    });
  }

  /** Sends as soon as possible, and again after a resume, until the server has applied it. */
  send(message: ClientMessage, settle?: Settle): Entry {
    if (this.#state === "closed") throw new ConnectionError("closed", "the client is closed");
    const entry = this.#outbox.add(message, settle);
    this.#flush();
    return entry;
  }

  /** The network or the page has come back: do not wait for timers to find out. */
  wake(): void {
    if (this.#state === "connected") this.#liveness.probe(this.#options.liveness.patience);
    else if (this.#transport === undefined && this.#mayOpen()) this.open();
  }

  /** Something else that this device is connected to has fallen silent. */
  doubt(): void {
    if (this.#state === "connected") this.#liveness.probe(DOUBTED_PATIENCE);
  }

  /**
   * This device has another network now: what is open may be dead without a word. To find out would
   * take longer than to resume.
   */
  moved(): void {
    if (this.#transport === undefined && !this.#mayOpen()) return;
    this.#drop();
    this.open();
    this.#enter(this.#credentials ? "reconnecting" : "connecting");
  }

  /** Not once it is over, and not while the server wants this client to stay away. */
  #mayOpen(): boolean {
    return this.#state !== "closed" && this.#options.now() >= this.#awayUntil;
  }

  /** Ends the session. */
  close(): void {
    if (this.#state === "connected") this.#say({ type: "bye" });
    this.#finish(new ConnectionError("closed", "the client was closed"));
  }

  #hello(): void {
    const { accessToken } = this.#options;
    if (typeof accessToken !== "function") {
      this.#sayHello(accessToken);
      return;
    }
    const transport = this.#transport;
    accessToken().then(
      (token) => {
        if (this.#transport === transport) this.#sayHello(token);
      },
      (error: unknown) => {
        if (this.#transport !== transport) return;
        this.#lose({ code: 1006, reason: `no access token: ${asError(error).message}` });
      },
    );
  }

  #sayHello(token: string | undefined): void {
    const resume = this.#credentials && { ...this.#credentials, seq: this.#inbox.seq };
    this.#say({
      type: "hello",
      version: 1,
      client: this.#options.client,
      ...(token !== undefined && { access_token: token }),
      ...(resume && { resume }),
    });
  }

  /** The token of this connection expires soon. */
  #authorize(): void {
    const { accessToken } = this.#options;
    if (typeof accessToken !== "function") return;
    const transport = this.#transport;
    accessToken().then(
      (token) => {
        if (this.#transport === transport && this.#state === "connected") {
          this.send({ type: "authorize", access_token: token });
        }
      },
      // The server closes the connection when the token has expired; then it is asked for again.
      () => undefined,
    );
  }

  #receive(text: string): void {
    let message: Numbered | { readonly seq?: number };
    try {
      message = parseServerMessage(text);
    } catch (error) {
      this.#lose({ code: 1006, reason: String(error) });
      return;
    }
    if (this.#state === "connected") this.#liveness.heard();
    if (message.seq !== undefined) {
      const place = this.#inbox.take(message.seq);
      if (place === "repeated") return;
      if (place === "gap") {
        this.#lose({ code: 1006, reason: "a message is missing" });
        return;
      }
    }
    if ("type" in message) this.#dispatch(message);
  }

  #dispatch(message: ServerMessage): void {
    switch (message.type) {
      case "welcome":
        this.#welcome(message);
        return;
      case "pong":
        this.#confirm(this.#pings.shift());
        return;
      case "token":
        this.#renew(message.token);
        return;
      case "error":
        this.#refuse(message);
        return;
      case "goaway":
        this.#farewell = {
          ...this.#farewell,
          wait: message.reconnect_in_ms,
          url: message.url,
        };
        return;
      case "snapshot":
        this.#settle(message);
        this.emit("message", message);
        return;
      case "room":
      case "state":
        // Told to all; who has asked for it finds the answer in it.
        this.emit("message", message);
        if (message.re !== undefined) this.#outbox.answered(message.re)?.settle?.resolve(message);
        return;
      case "knocking":
        this.emit("message", message);
        return;
      case "token_expiring":
        this.#authorize();
        return;
      case "authorized":
      case "joined":
      case "updated":
      case "done":
      case "broadcast_delivered":
      case "left":
        this.#outbox.answered(message.re)?.settle?.resolve(message);
        return;
      default:
        this.emit("message", message);
    }
  }

  #welcome(welcome: Welcome): void {
    stopTimer(this.#timer);
    const { session, token, limits } = welcome;
    const first = this.#credentials === undefined;
    this.#credentials = { session, token };
    this.#farewell = NO_FAREWELL;
    this.#destination.answered();
    this.#backoff.reset();
    this.#refusals = 0;
    const goesOn = welcome.resumed === "full" || welcome.resumed === "snapshot";
    this.#pacer.configure(
      limits.messages_per_second * RATE_SHARE,
      limits.burst * RATE_SHARE,
      !goesOn,
      this.#options.now(),
    );
    let lost: Entry[] = [];
    if (welcome.resumed === "snapshot") {
      this.#inbox.jump();
      this.#unanswered.push(...this.#outbox.unanswered(welcome.applied ?? 0));
    }
    if (goesOn) {
      this.#outbox.resend(welcome.applied ?? 0);
    } else if (!first) {
      this.#inbox.reset();
      lost = this.#clear();
    }
    this.#liveness.heard();
    this.#enter("connected");
    this.emit("welcome", { welcome, lost });
    this.#flush();
  }

  #renew(token: string): void {
    if (this.#credentials) this.#credentials = { ...this.#credentials, token };
  }

  /** A snapshot stands for the answers that were missed as well. */
  #settle({ rooms, knocking }: Snapshot): void {
    for (const entry of this.#unanswered.splice(0)) {
      const { message, settle } = entry;
      const name = "room" in message ? message.room : "";
      const found = rooms.find(({ room }) => room === name);
      if (message.type !== "join" || found) settle?.resolve(found);
      else if (knocking?.includes(name)) this.#outbox.restore(entry);
      else settle?.reject(new ServerError("not_in_room", "not let in, or put out again"));
    }
  }

  /** Takes out everything that the server may not have applied, or has not answered. */
  #clear(): Entry[] {
    return [...this.#unanswered.splice(0), ...this.#outbox.clear()];
  }

  #refuse(refusal: ServerRefusal): void {
    const error = new ServerError(refusal.code, refusal.message);
    if (this.#state !== "connected") {
      this.#farewell = { ...this.#farewell, text: refusal.message };
      return;
    }
    if (refusal.code === "rate_limited" && refusal.re !== undefined) {
      this.#outbox.renumber(refusal.re);
      this.#pacer.pause(refusal.retry_after_ms ?? 1000, this.#options.now());
      this.#flush();
      return;
    }
    const entry = refusal.re === undefined ? undefined : this.#outbox.answered(refusal.re);
    if (entry?.settle) entry.settle.reject(error);
    else this.emit("refused", { error, message: entry?.message });
  }

  #flush(): void {
    stopTimer(this.#flushTimer);
    if (this.#state !== "connected") return;
    for (let entry = this.#outbox.nextUnsent(); entry; entry = this.#outbox.nextUnsent()) {
      const wait = this.#pacer.take(this.#options.now());
      if (wait > 0) {
        this.#flushTimer = startTimer(() => this.#flush(), wait);
        return;
      }
      entry.sent = true;
      this.#say({ ...entry.message, id: entry.id });
    }
    if (this.#outbox.size >= UNCONFIRMED_BEFORE_PING && this.#pings.length === 0) this.#ping();
  }

  #ping(): void {
    const unsent = this.#outbox.nextUnsent();
    this.#pings.push(unsent === undefined ? this.#outbox.lastId : unsent.id - 1);
    this.#say({ type: "ping" });
  }

  /** The server handles messages in order: what was sent before an answered ping is applied. */
  #confirm(id: number | undefined): void {
    if (id !== undefined) this.#outbox.applied(id);
  }

  #say(message: ConnectionMessage | (ClientMessage & { readonly id: number })): void {
    this.#transport?.send(JSON.stringify(message));
  }

  #lose(end: TransportEnd): void {
    const said = this.#farewell.text === "" ? end.reason : this.#farewell.text;
    const wasConnected = this.#state === "connected";
    this.#drop();
    const advice = adviceOf(end);
    const final =
      advice === "never" ? finalError(end, this.#farewell.text) : this.#unauthorized(advice, said);
    if (final) {
      this.#finish(final);
      return;
    }
    const farewell = this.#farewell;
    this.#farewell = NO_FAREWELL;
    this.#chooseServer(end, farewell.url, wasConnected);
    const away = farewell.wait ?? end.afterMs ?? 0;
    // Who was not even let in waits longer each time, also between two servers.
    const isTold = wasConnected && farewell.wait !== undefined;
    const wait = isTold ? away : this.#backoff.next(away);
    this.#awayUntil = this.#options.now() + away;
    this.#timer = startTimer(() => this.open(), wait);
    this.#enter(this.#credentials ? "reconnecting" : "connecting");
  }

  /**
   * Decides where the next connection is made. What was said before the end counts where the end
   * itself says nothing.
   */
  #chooseServer(end: TransportEnd, said: string | undefined, wasConnected: boolean): void {
    const named = end.advice === "elsewhere" ? end.url : undefined;
    const base = named ?? (end.advice === undefined ? said : undefined);
    if (base !== undefined) {
      if (this.#destination.follow(base)) this.emit("moved", base);
    } else if (end.code !== 1006 || end.afterMs !== undefined) {
      this.#destination.answered();
    } else if (!wasConnected) {
      this.#destination.failed();
    }
  }

  /** The error of a client that has no better token than those that were refused. */
  #unauthorized(advice: string, said: string): PeerageError | undefined {
    if (advice !== "authorize") return undefined;
    this.#refusals += 1;
    const canAsk = typeof this.#options.accessToken === "function";
    if (canAsk && this.#refusals < REFUSALS) return undefined;
    return new ConnectionError("unauthorized", said);
  }

  #drop(): void {
    stopTimer(this.#timer);
    stopTimer(this.#flushTimer);
    this.#liveness.stop();
    this.#inbox.suspend();
    this.#pings = [];
    this.#transport?.close();
    this.#transport = undefined;
  }

  #finish(error: PeerageError): void {
    if (this.#state === "closed") return;
    this.#drop();
    this.#enter("closed");
    for (const entry of this.#clear()) entry.settle?.reject(error);
    this.emit("closed", error);
  }

  #enter(state: ConnectionState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.emit("state", state);
  }
}
