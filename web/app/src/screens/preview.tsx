import { useComputed } from "@preact/signals";
import type { JSX } from "preact";
import { CameraIcon, CameraOffIcon, MicrophoneIcon, MicrophoneOffIcon } from "../controls/icons.js";
import { MediaView } from "../controls/media_view.js";
import { ToggleButton } from "../controls/toggle_button.js";
import type { Capture } from "../state/capture.js";

/** What the others will see, and the two switches for it. */
export function Preview({ capture }: { readonly capture: Capture }): JSX.Element {
  const stream = useComputed(() => {
    const track = capture.camera.value;
    return track ? new MediaStream([track]) : undefined;
  });
  const on = capture.camera.value !== null;
  const audible = capture.audible.value;
  return (
    <div class="preview">
      <MediaView stream={stream.value} label="Camera preview" mirrored hidden={!on} />
      {!on && (
        <p class="preview-off">
          {capture.asking.value ? "Allow the camera and the microphone above" : "Camera is off"}
        </p>
      )}
      <div class="preview-controls">
        <ToggleButton
          label="Microphone"
          pressed={audible}
          warning={!audible}
          onClick={() => void capture.toggleMicrophone()}
        >
          {audible ? <MicrophoneIcon /> : <MicrophoneOffIcon />}
        </ToggleButton>
        <ToggleButton
          label="Camera"
          pressed={on}
          warning={!on}
          onClick={() => void capture.toggleCamera()}
        >
          {on ? <CameraIcon /> : <CameraOffIcon />}
        </ToggleButton>
      </div>
    </div>
  );
}
