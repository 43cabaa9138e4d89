import { computed, type ReadonlySignal, signal } from "@preact/signals";
import { type DeviceKind, deviceProblem, type DeviceProblem } from "./device_problem.js";
import { LevelMeter } from "./level.js";
import type { Preferences } from "./preferences.js";

const VIDEO: MediaTrackConstraints = {
  width: { ideal: 1280 },
  height: { ideal: 720 },
  frameRate: { ideal: 30 },
};

/** The camera, the microphone and the screen of this device. */
export class Capture {
  readonly preferences: Preferences;
  readonly level = new LevelMeter();
  readonly devices = signal<readonly MediaDeviceInfo[]>([]);
  readonly cameraProblem = signal<DeviceProblem | undefined>(undefined);
  readonly microphoneProblem = signal<DeviceProblem | undefined>(undefined);
  /** Set while the browser asks for permission. */
  readonly asking = signal(false);
  readonly #camera = signal<MediaStreamTrack | null>(null);
  readonly #microphone = signal<MediaStreamTrack | null>(null);
  readonly #screen = signal<MediaStreamTrack | null>(null);
  readonly #muted = signal(false);

  /** Whether the others hear this side. */
  readonly audible: ReadonlySignal<boolean> = computed(
    () => this.#microphone.value !== null && !this.#muted.value,
  );

  constructor(preferences: Preferences) {
    this.preferences = preferences;
    // Absent on pages that are not secure.
    const media = navigator.mediaDevices as MediaDevices | undefined;
    media?.addEventListener("devicechange", () => void this.#list());
  }

  get camera(): ReadonlySignal<MediaStreamTrack | null> {
    return this.#camera;
  }

  get microphone(): ReadonlySignal<MediaStreamTrack | null> {
    return this.#microphone;
  }

  get screen(): ReadonlySignal<MediaStreamTrack | null> {
    return this.#screen;
  }

  /** Starts what the person last had on, with one question of the browser for both. */
  async start(): Promise<void> {
    const { cameraOn, microphoneOn } = this.preferences;
    const wants = {
      camera: cameraOn.value && this.#camera.value === null,
      microphone: microphoneOn.value && this.#microphone.value === null,
    };
    this.#muted.value = !microphoneOn.value;
    if (wants.camera && wants.microphone && (await this.#openBoth())) return;
    if (wants.camera) await this.openCamera();
    if (wants.microphone) await this.openMicrophone();
  }

  /** Tries devices again that did not start. */
  async retry(kinds: readonly DeviceKind[]): Promise<void> {
    const { cameraOn, microphoneOn } = this.preferences;
    if (kinds.includes("camera")) cameraOn.value = true;
    if (kinds.includes("microphone")) microphoneOn.value = true;
    await this.start();
  }

  /** Stops everything; the devices' lights go out. */
  stop(): void {
    this.closeCamera();
    this.closeScreen();
    this.#useMicrophone(null);
  }

  async openCamera(): Promise<boolean> {
    return this.#open("camera", { video: this.#videoConstraints() });
  }

  async openMicrophone(): Promise<boolean> {
    return this.#open("microphone", { audio: this.#audioConstraints() });
  }

  closeCamera(): void {
    this.#useCamera(null);
  }

  async toggleCamera(): Promise<boolean> {
    const on = this.#camera.value === null;
    this.preferences.cameraOn.value = on;
    if (on) return this.openCamera();
    this.closeCamera();
    return true;
  }

  /** Mutes at once, without giving the device back: unmuting must be as quick. */
  async toggleMicrophone(): Promise<boolean> {
    const on = !this.audible.value;
    this.preferences.microphoneOn.value = on;
    this.#mute(!on);
    return on && this.#microphone.value === null ? this.openMicrophone() : true;
  }

  async openScreen(): Promise<boolean> {
    try {
      const stream = await navigator.mediaDevices.getDisplayMedia({ video: true });
      const track = stream.getVideoTracks()[0] ?? null;
      if (track) track.contentHint = "detail";
      track?.addEventListener("ended", () => this.closeScreen());
      this.#screen.value = track;
      return true;
    } catch (error) {
      console.warn("the screen is not shared", error);
      return false;
    }
  }

  closeScreen(): void {
    this.#screen.value?.stop();
    this.#screen.value = null;
  }

  async #openBoth(): Promise<boolean> {
    try {
      this.asking.value = true;
      const stream = await this.#ask({
        audio: this.#audioConstraints(),
        video: this.#videoConstraints(),
      });
      this.#useCamera(stream.getVideoTracks()[0] ?? null);
      this.#useMicrophone(stream.getAudioTracks()[0] ?? null);
      await this.#list();
      return true;
    } catch (error) {
      // One of the two may be to blame; asking for each tells which.
      console.info("camera and microphone did not start together", error);
      return false;
    } finally {
      this.asking.value = false;
    }
  }

  async #open(kind: DeviceKind, constraints: MediaStreamConstraints): Promise<boolean> {
    const problem = kind === "camera" ? this.cameraProblem : this.microphoneProblem;
    try {
      this.asking.value = true;
      const [track = null] = (await this.#ask(constraints)).getTracks();
      if (kind === "camera") this.#useCamera(track);
      else this.#useMicrophone(track);
      await this.#list();
      return true;
    } catch (error) {
      problem.value = window.isSecureContext ? deviceProblem(error) : "insecure";
      console.info(`the ${kind} did not start`, error);
      return false;
    } finally {
      this.asking.value = false;
    }
  }

  async #ask(constraints: MediaStreamConstraints): Promise<MediaStream> {
    if (!window.isSecureContext) throw new DOMException("not a secure page", "SecurityError");
    return navigator.mediaDevices.getUserMedia(constraints);
  }

  #useCamera(track: MediaStreamTrack | null): void {
    this.#camera.value?.stop();
    this.#camera.value = track;
    if (track) this.cameraProblem.value = undefined;
    track?.addEventListener("ended", () => this.#unplugged("camera", track));
  }

  #useMicrophone(track: MediaStreamTrack | null): void {
    this.#microphone.value?.stop();
    this.#microphone.value = track;
    if (track) this.microphoneProblem.value = undefined;
    track?.addEventListener("ended", () => this.#unplugged("microphone", track));
    this.#mute(this.#muted.value);
    this.level.listen(track);
  }

  #mute(muted: boolean): void {
    this.#muted.value = muted;
    if (this.#microphone.value) this.#microphone.value.enabled = !muted;
  }

  #unplugged(kind: DeviceKind, track: MediaStreamTrack): void {
    if (kind === "camera" && this.#camera.value === track) {
      this.#useCamera(null);
      this.cameraProblem.value = "missing";
    } else if (kind === "microphone" && this.#microphone.value === track) {
      this.#useMicrophone(null);
      this.microphoneProblem.value = "missing";
    }
  }

  async #list(): Promise<void> {
    this.devices.value = await navigator.mediaDevices.enumerateDevices();
  }

  #videoConstraints(): MediaTrackConstraints {
    const device = this.preferences.camera.value;
    return device === "" ? VIDEO : { ...VIDEO, deviceId: { ideal: device } };
  }

  #audioConstraints(): MediaTrackConstraints {
    const device = this.preferences.microphone.value;
    return device === "" ? {} : { deviceId: { ideal: device } };
  }
}
