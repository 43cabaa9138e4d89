import type { PeerageError } from "./errors.js";
import type { LeaveReason, Meeting, Member } from "./messages.js";
import type { Settle } from "./outbox.js";
import type { Peer } from "./peer.js";
import { type Broadcast, HeardBroadcasts, Repeats } from "./repeats.js";

/** @internal What the members of a room are given. */
export interface MembersPort {
  /** Somebody is met: begins to connect to it. */
  connect(member: Member): Peer;
  /** Says something to all once more. */
  say(message: Broadcast, settle?: Settle): void;
  joined(peer: Peer): void;
  updated(peer: Peer): void;
  left(peer: Peer, reason: LeaveReason): void;
}

/**
 * The others in a room: who comes, goes, and comes back after the server was restarted.
 *
 * @internal
 */
export class RoomMembers {
  readonly #port: MembersPort;
  readonly #peers = new Map<string, Peer>();
  /** Those who were here before the server was restarted, and have not come back yet. */
  readonly #awaited = new Set<string>();
  #patience: ReturnType<typeof setTimeout> | undefined;
  readonly #repeats: Repeats;
  readonly #heard = new Map<string, HeardBroadcasts>();
  /** Whether the server that there is now has this member. */
  #entered = false;

  constructor(port: MembersPort) {
    this.#port = port;
    this.#repeats = new Repeats((message, settle) => port.say(message, settle));
  }

  /** The others, by the ids of their sessions. */
  get peers(): ReadonlyMap<string, Peer> {
    return this.#peers;
  }

  /** All there are, as the server tells who comes in. Whoever is awaited may still come. */
  enter(members: readonly Member[]): void {
    const here = new Set([...members.map(({ session }) => session), ...this.#awaited]);
    for (const peer of [...this.#peers.values()]) {
      if (!here.has(peer.session)) this.#part(peer, "replaced");
    }
    for (const member of members) this.hear(member);
    this.#entered = true;
    this.#release();
  }

  /** What has become of one. */
  hear(member: Member): void {
    const known = this.#peers.get(member.session);
    const awaited = this.#awaited.delete(member.session);
    if (member.state === "left") {
      if (known) this.#part(known, member.reason ?? "left");
    } else if (known?.epoch === member.epoch) {
      known.update(member);
      this.#port.updated(known);
    } else if (known && awaited && known.epoch === member.continues) {
      known.goOn(member);
      this.#port.updated(known);
    } else {
      if (known) this.#part(known, "replaced");
      this.#welcome(member);
    }
    if (awaited) this.#release();
  }

  /** Whether a broadcast has not been heard before. */
  isNew(from: string, nr: number): boolean {
    const heard = this.#heard.get(from) ?? new HeardBroadcasts();
    this.#heard.set(from, heard);
    return heard.take(nr);
  }

  /** The server has been restarted: all are waited for. Gives the meetings that have not ended. */
  hold(): Meeting[] {
    this.#entered = false;
    this.#repeats.hold();
    for (const peer of this.#peers.values()) {
      peer.hold();
      this.#awaited.add(peer.session);
    }
    return [...this.#peers.values()].map(({ meeting }) => meeting);
  }

  /** A restart of the server has left open whom this has reached. */
  repeat(message: Broadcast, settle: Settle): void {
    this.#repeats.add(message, settle);
  }

  /** There is nobody to wait for. */
  forget(error: PeerageError): void {
    this.#awaited.clear();
    this.#repeats.close(error);
  }

  /** So long the others may take to come back, in milliseconds from now. */
  await(patience: number): void {
    clearTimeout(this.#patience);
    this.#patience = setTimeout(() => {
      for (const session of [...this.#awaited]) {
        const peer = this.#peers.get(session);
        if (peer) this.#part(peer, "expired");
      }
    }, patience);
  }

  /** This side leaves. */
  close(error: PeerageError): void {
    clearTimeout(this.#patience);
    this.#repeats.close(error);
    for (const peer of this.#peers.values()) peer.close("left");
    this.#peers.clear();
  }

  #welcome(member: Member): void {
    const peer = this.#port.connect(member);
    this.#peers.set(peer.session, peer);
    this.#port.joined(peer);
  }

  /** Whoever is back hears what a restart may have kept from it. */
  #release(): void {
    if (this.#entered) this.#repeats.release(this.#awaited.size === 0);
  }

  #part(peer: Peer, reason: LeaveReason): void {
    this.#peers.delete(peer.session);
    if (this.#awaited.delete(peer.session)) {
      this.#repeats.miss(peer.session);
      this.#release();
    }
    // Who is met anew may say again what was heard before.
    if (reason !== "replaced") this.#heard.delete(peer.session);
    peer.close(reason);
    this.#port.left(peer, reason);
  }
}
