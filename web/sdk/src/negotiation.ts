import { NegotiationError } from "./errors.js";
import type { SignalType } from "./messages.js";
import { startTimer, stopTimer, type Timer } from "./timers.js";

/** How a negotiation reaches the rest. */
export interface NegotiationPort {
  send(type: SignalType, body: object | null): void;
  /** The labels of this side's media, by mid. */
  labels(): Record<string, string>;
  /** The labels of the other side's media, before its offer is applied. */
  expect(labels: Readonly<Record<string, unknown>>): void;
  failed(error: NegotiationError): void;
}

interface Description extends RTCSessionDescriptionInit {
  readonly labels?: Readonly<Record<string, unknown>>;
}

/** So long the polite side waits for the other's first offer before it makes its own. */
const HEAD_START = 1_000;
/** So long it waits for the browser before it takes an offer back. */
const SETTLE = 500;

/**
 * Perfect negotiation, as section 10.7 of W3C's webrtc-pc describes it: both sides offer whenever
 * they need to; where two offers meet, the polite side takes its own back. As both have reason to
 * offer the moment they meet, the polite side gives the other a head start with the first one.
 *
 * @internal
 */
export class Negotiation {
  readonly #connection: RTCPeerConnection;
  readonly #polite: boolean;
  readonly #port: NegotiationPort;
  #offering: Promise<void> | undefined;
  #headStart: Timer | undefined;
  #headStartOver = false;
  #ignoringOffer = false;
  /** Signals are taken in one by one, in the order in which they were sent. */
  #queue: Promise<void> = Promise.resolve();

  constructor(connection: RTCPeerConnection, polite: boolean, port: NegotiationPort) {
    this.#connection = connection;
    this.#polite = polite;
    this.#port = port;
    connection.addEventListener("negotiationneeded", () => this.#needed());
    connection.addEventListener("icecandidate", ({ candidate }) => this.#tell(candidate));
  }

  /** Takes in what the other side sent. */
  handle(type: SignalType, body: unknown): void {
    this.#queue = this.#queue
      .then(() => (type === "candidate" ? this.#candidate(body) : this.#description(type, body)))
      .catch((cause: unknown) => this.#fail(`the ${type} could not be applied`, cause));
  }

  stop(): void {
    stopTimer(this.#headStart);
  }

  #needed(): void {
    if (!this.#polite || this.#headStartOver || this.#connection.remoteDescription) {
      this.#offer();
      return;
    }
    this.#headStart ??= startTimer(() => {
      this.#headStartOver = true;
      const { remoteDescription, signalingState } = this.#connection;
      if (!remoteDescription && signalingState === "stable") this.#offer();
    }, HEAD_START);
  }

  #offer(): void {
    this.#offering = this.#makeOffer()
      .catch((cause: unknown) => this.#fail("no offer could be made", cause))
      .finally(() => (this.#offering = undefined));
  }

  async #makeOffer(): Promise<void> {
    await this.#connection.setLocalDescription();
    this.#describe();
  }

  async #description(type: "offer" | "answer", body: unknown): Promise<void> {
    const description = body as Description;
    const stable = this.#connection.signalingState === "stable";
    const collision = type === "offer" && (this.#offering !== undefined || !stable);
    this.#ignoringOffer = !this.#polite && collision;
    if (this.#ignoringOffer) return;
    if (collision) await this.#settled();
    // The answer to an offer that was taken back in the meantime.
    if (type === "answer" && this.#connection.signalingState !== "have-local-offer") return;
    this.#port.expect(description.labels ?? {});
    await this.#connection.setRemoteDescription({ type, sdp: description.sdp ?? "" });
    if (type === "answer") return;
    await this.#connection.setLocalDescription();
    this.#describe();
  }

  /**
   * Waits until the browser has begun to look for candidates for this side's own offer. Chromium
   * never finds any when a first offer is taken back before that.
   */
  async #settled(): Promise<void> {
    await this.#offering;
    if (this.#connection.iceGatheringState !== "new") return;
    await new Promise<void>((resolve) => {
      const timer = startTimer(resolve, SETTLE);
      const begun = () => {
        stopTimer(timer);
        resolve();
      };
      this.#connection.addEventListener("icegatheringstatechange", begun, { once: true });
    });
  }

  async #candidate(body: unknown): Promise<void> {
    const candidate = (body ?? undefined) as RTCIceCandidateInit | undefined;
    try {
      await this.#connection.addIceCandidate(candidate);
    } catch (cause) {
      if (!this.#ignoringOffer && !this.#isStale(candidate)) throw cause;
    }
  }

  /** Whether a candidate is of a generation that an ICE restart has replaced. */
  #isStale(candidate: RTCIceCandidateInit | undefined): boolean {
    const fragment = candidate?.usernameFragment;
    const sdp = this.#connection.remoteDescription?.sdp;
    return fragment != null && sdp !== undefined && !sdp.includes(`a=ice-ufrag:${fragment}`);
  }

  #describe(): void {
    const description = this.#connection.localDescription;
    if (description?.type !== "offer" && description?.type !== "answer") return;
    const { type, sdp } = description;
    this.#port.send(type, { type, sdp, ...(type === "offer" && { labels: this.#port.labels() }) });
  }

  #tell(candidate: RTCIceCandidate | null): void {
    // An empty candidate ends one generation; the null that follows ends them all.
    if (candidate?.candidate === "") return;
    try {
      this.#port.send("candidate", candidate?.toJSON() ?? null);
    } catch (cause) {
      this.#fail("a candidate could not be sent", cause);
    }
  }

  #fail(what: string, cause: unknown): void {
    // Whatever was under way when the connection was closed fails, and means nothing.
    if (this.#connection.signalingState === "closed") return;
    this.#port.failed(new NegotiationError("negotiation_failed", what, { cause }));
  }
}
