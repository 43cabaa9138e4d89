import { Emitter } from "./emitter.js";

/** Audio or video. */
export type MediaKind = "audio" | "video";

/** One thing that is sent to every peer, such as the microphone. */
export interface Slot {
  /** Names the slot; the others see it as {@link RemoteTrack.label}. */
  readonly label: string;
  /** What may be put into the slot. */
  readonly kind: MediaKind;
  /** What is sent, or null while nothing is. */
  readonly track: MediaStreamTrack | null;
}

/** What {@link LocalMedia} tells. */
export interface LocalMediaEvents {
  /** A slot was added or holds another track now. */
  change: Slot;
  /** A slot is gone. */
  remove: Slot;
}

/**
 * What this side sends, to all present and future peers of the rooms that it is given to.
 *
 * Each label is a slot with a connection of its own. To put another track into a slot, or null, is
 * immediate and needs no negotiation: that is how a camera is switched or turned off. Only a new
 * slot, or the removal of one, is negotiated.
 */
export class LocalMedia extends Emitter<LocalMediaEvents> {
  readonly #slots = new Map<string, Slot>();
  #stream: MediaStream | undefined;

  /** All slots. */
  get slots(): readonly Slot[] {
    return [...this.#slots.values()];
  }

  /** Sends `track` under `label`, in place of what was sent under it. */
  set(label: string, track: MediaStreamTrack): void {
    this.#put({ label, kind: track.kind as MediaKind, track });
  }

  /** Makes room for a track that comes later, so that it needs no negotiation then. */
  reserve(label: string, kind: MediaKind): void {
    if (!this.#slots.has(label)) this.#put({ label, kind, track: null });
  }

  /** Sends nothing under `label` for now. The track itself is left running. */
  clear(label: string): void {
    const slot = this.#slots.get(label);
    if (slot) this.#put({ ...slot, track: null });
  }

  /** Takes the slot away. */
  remove(label: string): void {
    const slot = this.#slots.get(label);
    if (!slot) return;
    this.#slots.delete(label);
    this.emit("remove", slot);
  }

  /** @internal What belongs to one stream is kept in step (lip-sync) by the receiving browser. */
  get stream(): MediaStream {
    this.#stream ??= new MediaStream();
    return this.#stream;
  }

  #put(slot: Slot): void {
    const before = this.#slots.get(slot.label);
    if (before && before.kind !== slot.kind) {
      throw new TypeError(`the slot "${slot.label}" is for ${before.kind}`);
    }
    this.#slots.set(slot.label, slot);
    this.emit("change", slot);
  }
}
