import type { Signal } from "@preact/signals";
import type { JSX } from "preact";
import type { Capture } from "../state/capture.js";

interface ChoiceProps {
  readonly label: string;
  readonly kind: MediaDeviceKind;
  readonly capture: Capture;
  readonly choice: Signal<string>;
  readonly changed?: () => void;
}

/** Lets a person choose one device of a kind. */
function DeviceChoice({ label, kind, capture, choice, changed }: ChoiceProps): JSX.Element {
  const devices = capture.devices.value.filter(
    (device) => device.kind === kind && device.deviceId !== "" && device.deviceId !== "default",
  );
  const known = devices.some(({ deviceId }) => deviceId === choice.value);
  return (
    <label class="choice">
      <span class="choice-label">{label}</span>
      <select
        class="field select"
        value={known ? choice.value : ""}
        onChange={(event) => {
          choice.value = event.currentTarget.value;
          changed?.();
        }}
      >
        <option value="">System default</option>
        {devices.map((device, index) => (
          <option key={device.deviceId} value={device.deviceId}>
            {device.label === "" ? `${label} ${index + 1}` : device.label}
          </option>
        ))}
      </select>
    </label>
  );
}

/** The choice of camera, microphone and, where browsers allow it, speaker. */
export function DeviceChoices({ capture }: { readonly capture: Capture }): JSX.Element {
  const { preferences } = capture;
  return (
    <div class="choices">
      <DeviceChoice
        label="Camera"
        kind="videoinput"
        capture={capture}
        choice={preferences.camera}
        changed={() => {
          if (capture.camera.value) void capture.openCamera();
        }}
      />
      <DeviceChoice
        label="Microphone"
        kind="audioinput"
        capture={capture}
        choice={preferences.microphone}
        changed={() => {
          if (capture.microphone.value) void capture.openMicrophone();
        }}
      />
      {"setSinkId" in HTMLMediaElement.prototype && (
        <DeviceChoice
          label="Speaker"
          kind="audiooutput"
          capture={capture}
          choice={preferences.speaker}
        />
      )}
    </div>
  );
}
