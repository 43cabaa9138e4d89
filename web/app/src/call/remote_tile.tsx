import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useCallback } from "preact/hooks";
import { MediaView } from "../controls/media_view.js";
import { Sound } from "../controls/sound.js";
import type { Call } from "../state/call.js";
import type { Participant } from "../state/participant.js";
import { cropsTooMuch, type Size } from "./layout.js";
import { PathBadge } from "./path_badge.js";
import { Removal } from "./removal.js";
import { Tile } from "./tile.js";

interface RemoteTileProps {
  readonly participant: Participant;
  readonly call: Call;
  readonly frame: Size;
}

/** Somebody else. */
export function RemoteTile({ participant, call, frame }: RemoteTileProps): JSX.Element {
  const blocked = useCallback(() => (call.soundBlocked.value = true), [call]);
  const aspect = useSignal<number | undefined>(undefined);
  const { audio, video, screen } = participant.media.value;
  const name = participant.name.value;
  return (
    <Tile
      label={name}
      name={name}
      muted={!audio}
      speaking={audio && participant.speaking.value}
      picture={video && aspect.value !== undefined}
      status={status(participant)}
    >
      <MediaView
        stream={participant.picture.value}
        label={`Video of ${name}`}
        whole={screen || cropsTooMuch(aspect.value, frame)}
        hidden={!video}
        aspect={aspect}
      />
      <Sound
        stream={participant.sound.value}
        speaker={call.capture.preferences.speaker.value}
        blocked={blocked}
      />
      <PathBadge participant={participant} />
      {call.door.isKeeper.value && (
        <Removal name={name} remove={() => call.door.remove(participant.session)} />
      )}
    </Tile>
  );
}

/** What is the matter, if anything is. */
function status(participant: Participant): string | undefined {
  if (participant.suspended.value) return "reconnecting…";
  switch (participant.connection.value) {
    case "new":
    case "connecting":
      return "connecting…";
    case "disconnected":
    case "failed":
      return "looking for another path…";
    default:
      return undefined;
  }
}
