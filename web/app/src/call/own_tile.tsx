import { type Signal, useComputed } from "@preact/signals";
import type { JSX } from "preact";
import { MediaView } from "../controls/media_view.js";
import type { Call } from "../state/call.js";
import { cropsTooMuch, type Size } from "./layout.js";
import { Tile } from "./tile.js";

interface OwnTileProps {
  readonly call: Call;
  readonly aspect: Signal<number | undefined>;
  readonly frame: Size;
  /** Whether it lies small in the corner of another. */
  readonly corner: boolean;
}

/** This side, as the others see it (but mirrored, as people know themselves). */
export function OwnTile({ call, aspect, frame, corner }: OwnTileProps): JSX.Element {
  const { capture } = call;
  const stream = useComputed(() => {
    const track = capture.screen.value ?? capture.camera.value;
    return track ? new MediaStream([track]) : undefined;
  });
  const sharing = capture.screen.value !== null;
  const sends = stream.value !== undefined;
  return (
    <Tile
      label="You"
      name={call.name}
      caption={corner ? "You" : `${call.name} (you)`}
      own
      muted={!capture.audible.value}
      speaking={capture.audible.value && capture.level.speaking}
      picture={sends && aspect.value !== undefined}
      status={sharing ? "You are sharing your screen" : undefined}
    >
      <MediaView
        stream={stream.value}
        label="Your video"
        mirrored={!sharing}
        whole={sharing || cropsTooMuch(aspect.value, frame)}
        hidden={!sends}
        aspect={aspect}
      />
    </Tile>
  );
}
