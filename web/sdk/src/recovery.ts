import type { Unsubscribe } from "./emitter.js";
import { localType, received } from "./path.js";
import { pause, startTimer, stopTimer, type Timer } from "./timers.js";

/** So long may a path be silent, since most interruptions end by themselves. */
const GRACE = 2_000;
/** What has led to nothing is tried again after so long, doubled each time … */
const FIRST_RETRY = 5_000;
/** … up to this. */
const LAST_RETRY = 40_000;
/** So many restarts that the other side could have answered, and yet no path: begin anew. */
const RESTARTS = 3;
/** Within so long something comes over a path that works, once this side is reachable again. */
const FLOW_WITHIN = 1_000;

/** @internal How a recovery reaches the rest. */
export interface RecoveryPort {
  /** Whether the other side hears of an offer at once. */
  canNegotiate(): boolean;
  /** The way to the server may be as broken as that to the other side: to be found out soon. */
  doubtServer(): void;
  /** Replaces the connection, and has the new one watched. */
  rebuild(): void;
}

/**
 * Finds a new path when the present one has broken, as it does when a laptop changes from Wi-Fi to
 * a cable: by ICE restarts first, and when they lead to nothing by another connection.
 *
 * @internal
 */
export class Recovery {
  readonly #port: RecoveryPort;
  #connection: RTCPeerConnection | undefined;
  #unwatch: Unsubscribe = () => undefined;
  #timer: Timer | undefined;
  #retry = FIRST_RETRY;
  #restarts = 0;

  constructor(port: RecoveryPort) {
    this.#port = port;
  }

  /** Looks after this connection from now on. */
  watch(connection: RTCPeerConnection): void {
    this.#unwatch();
    const watching = new AbortController();
    const { signal } = watching;
    this.#unwatch = () => watching.abort();
    this.#connection = connection;
    this.#restarts = 0;
    connection.addEventListener("iceconnectionstatechange", () => this.#react(), { signal });
    connection.addEventListener("connectionstatechange", () => this.#checkSecurity(), { signal });
  }

  /** This device has another network now: whatever the browser still thinks, the path is gone. */
  moved(): void {
    if (!this.#isNegotiated) return;
    this.#restarts = 0;
    this.#retry = FIRST_RETRY;
    // The answer to an offer that is under way leads to the old network: another one has to follow.
    if (this.#connection?.signalingState !== "stable") this.#restart();
    this.#attempt();
  }

  /** The server can be reached again; perhaps because it could not from the network before. */
  resumed(): void {
    if (this.#isNegotiated) void this.#attemptUnlessItFlows();
  }

  /** The other side can be reached again. */
  returned(): void {
    if (this.#isNegotiated && !this.#isConnected) this.#attempt();
  }

  /** There are new credentials for relays: who uses a relay does so with them from now on. */
  async renewed(): Promise<void> {
    const connection = this.#connection;
    if (!connection || !this.#isNegotiated) return;
    const isRelayed = localType(await connection.getStats()) === "relay";
    if (isRelayed && connection === this.#connection) this.#restart();
  }

  stop(): void {
    this.#unwatch();
    this.#cancel();
    this.#connection = undefined;
  }

  /** Before the first answer there is nothing to restart. */
  get #isNegotiated(): boolean {
    return this.#connection?.remoteDescription != null;
  }

  get #isConnected(): boolean {
    const state = this.#connection?.iceConnectionState;
    return state === "connected" || state === "completed";
  }

  #react(): void {
    switch (this.#connection?.iceConnectionState) {
      case "disconnected":
        this.#port.doubtServer();
        this.#attemptIn(GRACE);
        return;
      case "failed":
        this.#attempt();
        return;
      case "connected":
      case "completed":
        this.#settle();
        return;
      case "closed":
        this.#cancel();
        return;
      default:
    }
  }

  /** With a path and yet failed: the two sides have no keys in common, and no path mends that. */
  #checkSecurity(): void {
    if (this.#connection?.connectionState !== "failed" || !this.#isConnected) return;
    this.#restarts = RESTARTS;
    this.#attemptIn(GRACE);
  }

  #attemptIn(milliseconds: number): void {
    this.#cancel();
    this.#timer = startTimer(() => void this.#attemptUnlessItFlows(), milliseconds);
  }

  #settle(): void {
    this.#restarts = 0;
    this.#retry = FIRST_RETRY;
    this.#cancel();
  }

  #cancel(): void {
    stopTimer(this.#timer);
  }

  /** What browsers say of a path may be old: what counts is whether something comes over it. */
  async #attemptUnlessItFlows(): Promise<void> {
    const connection = this.#connection;
    if (connection?.connectionState === "connected" && this.#isConnected) {
      const before = received(await connection.getStats());
      await pause(FLOW_WITHIN);
      const after = received(await connection.getStats());
      if (connection !== this.#connection) return;
      if (after !== before) {
        this.#settle();
        return;
      }
    }
    this.#attempt();
  }

  #attempt(): void {
    this.#attemptIn(this.#retry);
    this.#retry = Math.min(2 * this.#retry, LAST_RETRY);
    // What nobody could answer says nothing about the connection.
    if (this.#port.canNegotiate()) {
      if (this.#restarts >= RESTARTS) {
        this.#port.rebuild();
        return;
      }
      this.#restarts += 1;
    }
    // While an offer is unanswered another one would only wait behind it.
    if (this.#connection?.signalingState === "stable") this.#restart();
  }

  #restart(): void {
    try {
      this.#connection?.restartIce();
    } catch {
      // Not every implementation can: there it takes another connection.
      this.#restarts = RESTARTS;
    }
  }
}
