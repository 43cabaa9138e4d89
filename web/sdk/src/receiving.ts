import type { MediaKind } from "./media.js";

/** One thing that a peer sends. */
export interface RemoteTrack {
  /** The label of the peer's slot; its kind, for a client that names none. */
  readonly label: string;
  /** Audio or video. */
  readonly kind: MediaKind;
  /** The media itself. */
  readonly track: MediaStreamTrack;
  /** For statistics, such as the audio level. */
  readonly receiver: RTCRtpReceiver;
}

interface Received extends RemoteTrack {
  readonly transceiver: RTCRtpTransceiver;
}

interface ReceivingListener {
  added(track: RemoteTrack): void;
  removed(track: RemoteTrack): void;
}

/**
 * Keeps the tracks that come over one peer connection.
 *
 * @internal
 */
export class Receiving {
  readonly #listener: ReceivingListener;
  readonly #tracks = new Map<RTCRtpTransceiver, Received>();
  #labels: Readonly<Record<string, unknown>> = {};

  constructor(connection: RTCPeerConnection, listener: ReceivingListener) {
    this.#listener = listener;
    connection.addEventListener("track", ({ transceiver }) => this.#add(transceiver));
    connection.addEventListener("signalingstatechange", () => {
      if (connection.signalingState === "stable") this.#sweep();
    });
  }

  get tracks(): readonly RemoteTrack[] {
    return [...this.#tracks.values()];
  }

  /** What the other side calls the sections of the offer that is about to be applied. */
  expect(labels: Readonly<Record<string, unknown>>): void {
    this.#labels = labels;
  }

  #add(transceiver: RTCRtpTransceiver): void {
    const { receiver, mid } = transceiver;
    const { track } = receiver;
    const named = mid === null ? undefined : this.#labels[mid];
    const label = typeof named === "string" ? named : track.kind;
    const received = { label, kind: track.kind as MediaKind, track, receiver, transceiver };
    this.#tracks.set(transceiver, received);
    this.#listener.added(received);
  }

  #sweep(): void {
    for (const [transceiver, received] of this.#tracks) {
      const direction = transceiver.currentDirection;
      if (direction === "recvonly" || direction === "sendrecv") continue;
      this.#tracks.delete(transceiver);
      this.#listener.removed(received);
    }
  }
}
