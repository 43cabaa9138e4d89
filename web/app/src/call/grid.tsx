import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Call } from "../state/call.js";
import { arrange, cornerTile, type Size } from "./layout.js";
import { OwnTile } from "./own_tile.js";
import { RemoteTile } from "./remote_tile.js";

const GAP = 12;

/** Everybody: in tiles as large as fit, or of two people the other, with oneself in the corner. */
export function Grid({ call }: { readonly call: Call }): JSX.Element {
  const element = useRef<HTMLUListElement>(null);
  const stage = useSignal<Size>({ width: 0, height: 0 });
  const ownAspect = useSignal<number | undefined>(undefined);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => {
      if (entry) stage.value = entry.contentRect;
    });
    if (element.current) observer.observe(element.current);
    return () => observer.disconnect();
  }, [stage]);
  const participants = call.participants.value;
  const pair = participants.length === 1;
  const { width, height } = stage.value;
  const tile = pair ? stage.value : arrange(participants.length + 1, width, height, GAP);
  const ownTile = pair ? cornerTile(stage.value, ownAspect.value) : tile;
  const style = {
    "--tile-width": `${tile.width}px`,
    "--tile-height": `${tile.height}px`,
    "--own-width": `${ownTile.width}px`,
    "--own-height": `${ownTile.height}px`,
  };
  return (
    <ul
      class={pair ? "grid is-pair" : "grid"}
      ref={element}
      style={style}
      aria-label="People in the call"
    >
      {participants.map((participant) => (
        <RemoteTile key={participant.session} participant={participant} call={call} frame={tile} />
      ))}
      <OwnTile key="own" call={call} aspect={ownAspect} frame={ownTile} corner={pair} />
    </ul>
  );
}
