import type { Unsubscribe } from "./emitter.js";
import type { LocalMedia, Slot } from "./media.js";

/**
 * Sends local media over one peer connection.
 *
 * Each slot has a transceiver that only sends. An offer of the other side never takes such a
 * transceiver for its own media, so when both sides offer at once nothing is doubled or mixed up.
 *
 * @internal
 */
export class Sending {
  readonly #connection: RTCPeerConnection;
  readonly #media: LocalMedia;
  readonly #failed: (cause: unknown) => void;
  readonly #transceivers = new Map<string, RTCRtpTransceiver>();
  readonly #subscriptions: Unsubscribe[];

  constructor(connection: RTCPeerConnection, media: LocalMedia, failed: (cause: unknown) => void) {
    this.#connection = connection;
    this.#media = media;
    this.#failed = failed;
    for (const slot of media.slots) this.#apply(slot);
    this.#subscriptions = [
      media.on("change", (slot) => this.#apply(slot)),
      media.on("remove", (slot) => this.#remove(slot)),
    ];
  }

  /** Which label each section of the session description carries, by its mid. */
  labels(): Record<string, string> {
    const labels: Record<string, string> = {};
    for (const [label, { mid }] of this.#transceivers) {
      if (mid !== null) labels[mid] = label;
    }
    return labels;
  }

  stop(): void {
    for (const unsubscribe of this.#subscriptions) unsubscribe();
  }

  #apply(slot: Slot): void {
    const transceiver = this.#transceivers.get(slot.label);
    if (transceiver) {
      transceiver.sender.replaceTrack(slot.track).catch(this.#failed);
      return;
    }
    const added = this.#connection.addTransceiver(slot.track ?? slot.kind, {
      direction: "sendonly",
      streams: [this.#media.stream],
    });
    this.#transceivers.set(slot.label, added);
  }

  #remove(slot: Slot): void {
    this.#transceivers.get(slot.label)?.stop();
    this.#transceivers.delete(slot.label);
  }
}
