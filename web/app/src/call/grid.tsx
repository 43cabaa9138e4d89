import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Call } from "../state/call.js";
import { arrange } from "./layout.js";
import { OwnTile } from "./own_tile.js";
import { RemoteTile } from "./remote_tile.js";

const GAP = 12;

/** Everybody, in tiles as large as fit. */
export function Grid({ call }: { readonly call: Call }): JSX.Element {
  const element = useRef<HTMLUListElement>(null);
  const size = useSignal({ width: 0, height: 0 });
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => {
      if (entry) size.value = entry.contentRect;
    });
    if (element.current) observer.observe(element.current);
    return () => observer.disconnect();
  }, [size]);
  const participants = call.participants.value;
  const tile = arrange(participants.length + 1, size.value.width, size.value.height, GAP);
  const style = { "--tile-width": `${tile.width}px`, "--tile-height": `${tile.height}px` };
  return (
    <ul class="grid" ref={element} style={style} aria-label="People in the call">
      {participants.map((participant) => (
        <RemoteTile key={participant.session} participant={participant} call={call} />
      ))}
      <OwnTile key="own" call={call} />
    </ul>
  );
}
