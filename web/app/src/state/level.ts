import { type ReadonlySignal, signal } from "@preact/signals";

const EVERY = 100;
/** Quieter than this is silence; louder is speech. */
const SPEECH = 0.12;

/** Measures how loud a microphone is, from 0 to 1. */
export class LevelMeter {
  readonly #level = signal(0);
  readonly #asleep = signal(false);
  #context: AudioContext | undefined;
  #source: MediaStreamAudioSourceNode | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;

  get level(): ReadonlySignal<number> {
    return this.#level;
  }

  /** Whether nothing can be measured until the page is touched. */
  get asleep(): ReadonlySignal<boolean> {
    return this.#asleep;
  }

  /** Whether somebody speaks, at the present level. */
  get speaking(): boolean {
    return this.#level.value > SPEECH;
  }

  listen(track: MediaStreamTrack | null): void {
    this.#source?.disconnect();
    clearInterval(this.#timer);
    this.#level.value = 0;
    if (!track) return;
    const context = (this.#context ??= this.#open());
    const analyser = context.createAnalyser();
    analyser.fftSize = 512;
    this.#source = context.createMediaStreamSource(new MediaStream([track]));
    this.#source.connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    this.#timer = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      this.#level.value = loudness(samples);
    }, EVERY);
  }

  /** Browsers keep audio asleep until the page is first touched. */
  async wake(): Promise<void> {
    if (this.#context?.state === "suspended") await this.#context.resume();
  }

  #open(): AudioContext {
    const context = new AudioContext();
    const look = () => (this.#asleep.value = context.state === "suspended");
    context.addEventListener("statechange", look);
    look();
    return context;
  }
}

/** The effective value on a scale on which speech fills the upper half. */
export function loudness(samples: Float32Array): number {
  const energy = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
  const decibels = 10 * Math.log10(energy + 1e-10);
  return Math.min(1, Math.max(0, (decibels + 60) / 50));
}
