/** So long may a path be silent, since most interruptions end by themselves. */
const GRACE = 2_000;
/** A restart that has led to nothing is repeated after so long, doubled each time … */
const FIRST_RETRY = 5_000;
/** … up to this. */
const LAST_RETRY = 40_000;

/**
 * Finds a new path with an ICE restart when the present one has broken, as it does when a laptop
 * changes from Wi-Fi to a cable.
 *
 * @internal
 */
export class Recovery {
  readonly #connection: RTCPeerConnection;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #retry = FIRST_RETRY;

  constructor(connection: RTCPeerConnection) {
    this.#connection = connection;
    connection.addEventListener("iceconnectionstatechange", () => this.#react());
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #react(): void {
    switch (this.#connection.iceConnectionState) {
      case "disconnected":
        this.#restartIn(GRACE);
        return;
      case "failed":
        this.#restart();
        return;
      case "connected":
      case "completed":
        this.#retry = FIRST_RETRY;
        this.stop();
        return;
      case "closed":
        this.stop();
        return;
      default:
    }
  }

  #restartIn(milliseconds: number): void {
    this.stop();
    this.#timer = setTimeout(() => this.#restart(), milliseconds);
  }

  #restart(): void {
    // While an offer is unanswered another one would only wait behind it.
    if (this.#connection.signalingState === "stable") this.#connection.restartIce();
    this.#restartIn(this.#retry);
    this.#retry = Math.min(2 * this.#retry, LAST_RETRY);
  }
}
