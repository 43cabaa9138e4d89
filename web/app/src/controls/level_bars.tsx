import type { JSX } from "preact";
import { MicrophoneIcon } from "./icons.js";
import type { LevelMeter } from "../state/level.js";

const BARS = Array.from({ length: 16 }, (_, index) => index);

/** Shows how loud the microphone is. */
export function LevelBars({ meter }: { readonly meter: LevelMeter }): JSX.Element {
  if (meter.asleep.value) {
    return (
      <div class="level">
        <MicrophoneIcon />
        <p class="level-hint">Click anywhere to test the microphone</p>
      </div>
    );
  }
  const lit = Math.round(meter.level.value * BARS.length);
  return (
    <div class="level">
      <MicrophoneIcon />
      <div
        class="level-bars"
        role="meter"
        aria-label="Microphone level"
        aria-valuemin={0}
        aria-valuemax={BARS.length}
        aria-valuenow={lit}
      >
        {BARS.map((bar) => (
          <span key={bar} class={bar < lit ? "level-bar is-lit" : "level-bar"} />
        ))}
      </div>
    </div>
  );
}
