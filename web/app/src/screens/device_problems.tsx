import type { JSX } from "preact";
import type { Capture } from "../state/capture.js";
import { type DeviceKind, type DeviceProblem, problemInWords } from "../state/device_problem.js";

/** Says what keeps a device from working, and what to do about it. */
export function DeviceProblems({ capture }: { readonly capture: Capture }): JSX.Element | null {
  const camera = capture.cameraProblem.value;
  const microphone = capture.microphoneProblem.value;
  if (!camera && !microphone) return null;
  const same = camera === microphone;
  return (
    <div class="device-problems" role="alert">
      {camera && (
        <Problem
          kinds={same ? ["camera", "microphone"] : ["camera"]}
          problem={camera}
          capture={capture}
        />
      )}
      {microphone && !same && (
        <Problem kinds={["microphone"]} problem={microphone} capture={capture} />
      )}
      <p class="quiet">You can join without: you hear and see the others all the same.</p>
    </div>
  );
}

interface ProblemProps {
  readonly kinds: readonly DeviceKind[];
  readonly problem: DeviceProblem;
  readonly capture: Capture;
}

function Problem({ kinds, problem, capture }: ProblemProps): JSX.Element {
  return (
    <div class="device-problem">
      <p>{problemInWords(problem, kinds)}</p>
      {problem !== "insecure" && (
        <button
          type="button"
          class="button button-small"
          aria-label={`Try ${kinds.join(" and ")} again`}
          onClick={() => void capture.retry(kinds)}
        >
          Try again
        </button>
      )}
    </div>
  );
}
