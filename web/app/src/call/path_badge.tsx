import type { Path, PathKind } from "@peerage/client";
import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useId } from "preact/hooks";
import { DirectIcon, RelayedIcon, SameNetworkIcon, ThroughNatIcon } from "../controls/icons.js";
import type { Participant } from "../state/participant.js";
import { pathDetails } from "./path_details.js";

const KINDS: Readonly<
  Record<PathKind, { readonly text: string; readonly Icon: () => JSX.Element }>
> = {
  direct: { text: "Direct", Icon: DirectIcon },
  "direct-local": { text: "Direct · same network", Icon: SameNetworkIcon },
  "direct-nat": { text: "Direct · through NAT", Icon: ThroughNatIcon },
  relayed: { text: "Relayed", Icon: RelayedIcon },
};

/** How the media of one person really flows. */
export function PathBadge({
  participant,
}: {
  readonly participant: Participant;
}): JSX.Element | null {
  const open = useSignal(false);
  const id = useId();
  const path = participant.path.value;
  if (!path) return null;
  const { text, Icon } = KINDS[path.kind];
  return (
    <div
      class="path"
      onKeyDown={(event) => {
        if (event.key === "Escape") open.value = false;
      }}
    >
      <button
        type="button"
        class={`badge badge-${path.kind}`}
        data-path={path.kind}
        aria-label={`Path to ${participant.name.value}: ${text}`}
        aria-expanded={open.value}
        aria-controls={id}
        title={pathDetails(path)
          .map(({ term, value }) => `${term}: ${value}`)
          .join("\n")}
        onClick={() => (open.value = !open.value)}
        onBlur={() => (open.value = false)}
      >
        <Icon />
        <span class="badge-text">{text}</span>
      </button>
      <PathDetails id={id} path={path} hidden={!open.value} />
    </div>
  );
}

interface PathDetailsProps {
  readonly id: string;
  readonly path: Path;
  readonly hidden: boolean;
}

function PathDetails({ id, path, hidden }: PathDetailsProps): JSX.Element {
  return (
    <dl class="path-details" id={id} hidden={hidden}>
      {pathDetails(path).map(({ term, value }) => (
        <div key={term} class="path-detail">
          <dt>{term}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
