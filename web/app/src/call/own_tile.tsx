import { useComputed } from "@preact/signals";
import type { JSX } from "preact";
import { MediaView } from "../controls/media_view.js";
import type { Call } from "../state/call.js";
import { Tile } from "./tile.js";

/** This side, as the others see it (but mirrored, as people know themselves). */
export function OwnTile({ call }: { readonly call: Call }): JSX.Element {
  const { capture } = call;
  const stream = useComputed(() => {
    const track = capture.screen.value ?? capture.camera.value;
    return track ? new MediaStream([track]) : undefined;
  });
  const sharing = capture.screen.value !== null;
  const picture = stream.value !== undefined;
  return (
    <Tile
      label="You"
      name={call.name}
      own
      muted={!capture.audible.value}
      speaking={capture.audible.value && capture.level.speaking}
      picture={picture}
      status={sharing ? "You are sharing your screen" : undefined}
    >
      <MediaView
        stream={stream.value}
        label="Your video"
        muted
        mirrored={!sharing}
        whole={sharing}
        hidden={!picture}
      />
    </Tile>
  );
}
