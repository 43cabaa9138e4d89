import { Client, type ConnectionState, LocalMedia, type Peer, type Room } from "@peerage/client";
import { batch, effect, signal } from "@preact/signals";
import type { Capture } from "./capture.js";
import { Chat } from "./chat.js";
import { problemInWords } from "./device_problem.js";
import { Door } from "./door.js";
import { IN_PASSING, Notices } from "./notices.js";
import { type MediaState, Participant } from "./participant.js";
import { nameAndKey } from "./room_name.js";
import { inWords } from "./words.js";

const MEASURE_EVERY = 2_000;
const LISTEN_EVERY = 200;

/** Which panel beside the call is open, other than the chat. */
export type Panel = "devices" | "shortcuts" | undefined;

export interface CallOptions {
  readonly url: string;
  readonly room: string;
  readonly name: string;
  /** What a server that asks for it lets this side in by. */
  readonly accessToken: string | undefined;
  readonly capture: Capture;
  /** Told when the call ends without this side having hung up. */
  readonly ended: (why: string) => void;
}

/** A call, from the moment of joining until hanging up. */
export class Call {
  readonly capture: Capture;
  readonly name: string;
  readonly chat = new Chat();
  readonly notices = new Notices();
  readonly door = new Door((text) => this.notices.say(text));
  /** Whether somebody has to let this side in. */
  readonly knocking = signal(false);
  readonly participants = signal<readonly Participant[]>([]);
  readonly server = signal<ConnectionState>("connecting");
  readonly panel = signal<Panel>(undefined);
  /** The browser plays no sound before the page is touched. */
  readonly soundBlocked = signal(false);
  readonly #options: CallOptions;
  readonly #media = new LocalMedia();
  readonly #client: Client;
  readonly #stopping: (() => void)[] = [];
  #room: Room | undefined;
  #over = false;

  constructor(options: CallOptions) {
    this.#options = options;
    this.capture = options.capture;
    this.name = options.name;
    this.#media.reserve("audio", "audio");
    this.#media.reserve("video", "video");
    this.#client = new Client({
      url: options.url,
      ...(options.accessToken !== undefined && { accessToken: options.accessToken }),
      iceTransportPolicy: options.capture.preferences.relayOnly.value ? "relay" : "all",
    });
    this.#client.on("state", (state) => (this.server.value = state));
    this.#client.on("knocking", () => (this.knocking.value = true));
    this.#client.on("error", (error) => this.notices.say(inWords(error)));
    this.#stopping.push(
      effect(() => this.#sendAudio()),
      effect(() => this.#sendVideo()),
    );
  }

  async join(): Promise<void> {
    const { name, key } = nameAndKey(this.#options.room);
    const room = await this.#client.join(name, {
      ...(key !== undefined && { key }),
      knock: true,
      name: this.name,
      data: { ...this.#mediaState() },
      media: this.#media,
    });
    this.#room = room;
    room.on("peerjoined", (peer) => this.#add(peer));
    room.on("peerleft", ({ peer, reason }) => this.#remove(peer, reason !== "replaced"));
    room.on("error", ({ error }) => {
      console.warn("the call goes on after", error, error.cause);
    });
    room.on("closed", ({ error }) => {
      if (error && !this.#over) this.#options.ended(inWords(error));
    });
    for (const peer of room.peers.values()) this.#add(peer, false);
    this.door.watch(room);
    this.#watch(room);
  }

  /** Ends the call. Whoever is left sees it at once. */
  leave(): void {
    this.#over = true;
    for (const stop of this.#stopping.splice(0)) stop();
    this.capture.closeScreen();
    this.#client.close();
  }

  say(text: string): void {
    if (this.#room) this.chat.send(text, this.#room);
  }

  async toggleMicrophone(): Promise<void> {
    if (await this.capture.toggleMicrophone()) return;
    this.#explain("microphone");
  }

  async toggleCamera(): Promise<void> {
    if (await this.capture.toggleCamera()) return;
    this.#explain("camera");
  }

  async toggleScreen(): Promise<void> {
    if (this.capture.screen.value) this.capture.closeScreen();
    else if (!(await this.capture.openScreen())) this.notices.say("The screen is not shared.");
  }

  toggleChat(): void {
    this.panel.value = undefined;
    this.chat.show(!this.chat.open.value);
  }

  togglePanel(panel: Panel): void {
    this.chat.show(false);
    this.panel.value = this.panel.value === panel ? undefined : panel;
  }

  closePanels(): void {
    batch(() => {
      this.chat.show(false);
      this.panel.value = undefined;
    });
  }

  #explain(kind: "camera" | "microphone"): void {
    const { cameraProblem, microphoneProblem } = this.capture;
    const problem = (kind === "camera" ? cameraProblem : microphoneProblem).value ?? "unknown";
    this.notices.say(problemInWords(problem, [kind]));
  }

  #mediaState(): MediaState {
    const { audible, camera, screen } = this.capture;
    return {
      audio: audible.value,
      video: camera.value !== null || screen.value !== null,
      screen: screen.value !== null,
    };
  }

  #sendAudio(): void {
    const track = this.capture.microphone.value;
    if (track) this.#media.set("audio", track);
    else this.#media.clear("audio");
  }

  #sendVideo(): void {
    const track = this.capture.screen.value ?? this.capture.camera.value;
    if (track) this.#media.set("video", track);
    else this.#media.clear("video");
  }

  #watch(room: Room): void {
    let told = JSON.stringify(this.#mediaState());
    const tell = effect(() => {
      const state = this.#mediaState();
      const text = JSON.stringify(state);
      if (text === told) return;
      told = text;
      room.update({ data: { ...state } }).catch((error: unknown) => {
        this.notices.say(inWords(error));
      });
    });
    const measuring = setInterval(() => void this.#measure(), MEASURE_EVERY);
    const listening = setInterval(() => this.#listen(), LISTEN_EVERY);
    this.#stopping.push(
      tell,
      () => clearInterval(measuring),
      () => clearInterval(listening),
    );
  }

  async #measure(): Promise<void> {
    await Promise.all(this.participants.value.map((participant) => participant.measure()));
  }

  #listen(): void {
    const now = performance.now();
    for (const participant of this.participants.value) participant.listen(now);
  }

  #add(peer: Peer, announce = true): void {
    const participant = new Participant(peer);
    const others = this.participants.value.filter(({ session }) => session !== peer.session);
    this.participants.value = [...others, participant];
    peer.on("message", (data) => this.chat.receive(data, participant.name.value));
    if (announce) this.notices.say(`${participant.name.value} joined`, IN_PASSING);
  }

  #remove(peer: Peer, announce: boolean): void {
    this.participants.value = this.participants.value.filter(
      ({ session }) => session !== peer.session,
    );
    if (announce) this.notices.say(`${peer.name ?? "Guest"} left`);
  }
}
