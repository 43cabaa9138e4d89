import type { Json, MediaKind, Path, Peer, RemoteTrack } from "@peerage/client";
import { signal } from "@preact/signals";

/** What each member tells the others about what it sends. */
export interface MediaState {
  readonly audio: boolean;
  readonly video: boolean;
  readonly screen: boolean;
}

const SPEECH = 0.02;
/** The ring stays through the pauses between words. */
const HOLD_MS = 600;

/** Another person in the call, as the screen shows them. */
export class Participant {
  readonly session: string;
  readonly name = signal("");
  readonly media = signal<MediaState>({ audio: false, video: false, screen: false });
  readonly suspended = signal(false);
  readonly connection = signal<RTCPeerConnectionState>("new");
  readonly path = signal<Path | undefined>(undefined);
  readonly speaking = signal(false);
  /** What is to be seen of them. */
  readonly picture = signal<MediaStream | undefined>(undefined);
  /** What is to be heard of them. */
  readonly sound = signal<MediaStream | undefined>(undefined);
  readonly #peer: Peer;
  #spokeAt = 0;

  constructor(peer: Peer) {
    this.#peer = peer;
    this.session = peer.session;
    this.#read();
    this.#gather();
    peer.on("update", () => this.#read());
    peer.on("connection", (state) => {
      this.connection.value = state;
      if (state === "connected") void this.measure();
    });
    peer.on("pathchange", () => void this.measure());
    peer.on("track", () => this.#gather());
    peer.on("trackremoved", () => this.#gather());
  }

  /** Asks the browser how the media flows. */
  async measure(): Promise<void> {
    const path = await this.#peer.path();
    this.path.value = this.connection.value === "connected" ? path : undefined;
  }

  /** Notices whether they speak. */
  listen(now: number): void {
    const loud = this.#peer.tracks.some((track) => audioLevel(track) > SPEECH);
    if (loud) this.#spokeAt = now;
    this.speaking.value = this.#spokeAt > 0 && now - this.#spokeAt < HOLD_MS;
  }

  #read(): void {
    this.name.value = this.#peer.name ?? "Guest";
    this.media.value = mediaState(this.#peer.data);
    this.suspended.value = this.#peer.state === "suspended";
  }

  #gather(): void {
    const { tracks } = this.#peer;
    this.picture.value = streamOf(tracks, "video", this.picture.value);
    this.sound.value = streamOf(tracks, "audio", this.sound.value);
  }
}

/** The tracks of one kind as a stream; as the present one, which plays, if that has the same. */
function streamOf(
  all: readonly RemoteTrack[],
  kind: MediaKind,
  present: MediaStream | undefined,
): MediaStream | undefined {
  const tracks = all.filter((each) => each.kind === kind).map(({ track }) => track);
  if (tracks.length === 0) return undefined;
  const playing = present?.getTracks() ?? [];
  const same = playing.length === tracks.length && tracks.every((each) => playing.includes(each));
  return same ? present : new MediaStream(tracks);
}

function audioLevel({ kind, receiver }: RemoteTrack): number {
  return kind === "audio" ? (receiver.getSynchronizationSources()[0]?.audioLevel ?? 0) : 0;
}

/** What a member's data says; members of other applications may say nothing. */
export function mediaState(data: Json | undefined): MediaState {
  const fields = typeof data === "object" && data !== null ? (data as Record<string, Json>) : {};
  return {
    audio: fields["audio"] === true,
    video: fields["video"] === true,
    screen: fields["screen"] === true,
  };
}
