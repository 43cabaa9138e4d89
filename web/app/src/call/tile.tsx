import type { ComponentChildren, JSX } from "preact";
import { MicrophoneOffIcon } from "../controls/icons.js";

interface TileProps {
  readonly label: string;
  readonly name: string;
  /** What stands at its lower edge; the name, unless told. */
  readonly caption?: string;
  readonly own?: boolean;
  readonly muted: boolean;
  readonly speaking: boolean;
  /** Whether there is a picture to see; otherwise the tile shows the initials. */
  readonly picture: boolean;
  readonly status?: string | undefined;
  /** The media, and what else lies over the picture. */
  readonly children: ComponentChildren;
}

/** One person. */
export function Tile(props: TileProps): JSX.Element {
  const { name, muted, speaking, picture, status } = props;
  const classes = ["tile"];
  if (speaking) classes.push("is-speaking");
  if (props.own) classes.push("is-own");
  return (
    <li class={classes.join(" ")} aria-label={props.label} data-speaking={speaking}>
      {!picture && (
        <span class="avatar" aria-hidden="true">
          {initials(name)}
        </span>
      )}
      {props.children}
      {status !== undefined && (
        <p class="tile-status" role="status">
          {status}
        </p>
      )}
      <p class="tile-name">
        {muted && (
          <span class="tile-muted" role="img" aria-label="Muted" title="Muted">
            <MicrophoneOffIcon />
          </span>
        )}
        <span class="tile-name-text">{props.caption ?? name}</span>
      </p>
    </li>
  );
}

/** The first letters of the first and the last word. */
function initials(name: string): string {
  const words = name.trim().split(/\s+/);
  const letters = [words[0], words.length > 1 ? words.at(-1) : undefined];
  return letters
    .map((word = "") => String.fromCodePoint(...firstCodePoint(word)))
    .join("")
    .toUpperCase();
}

function firstCodePoint(word: string): number[] {
  const point = word.codePointAt(0);
  return point === undefined ? [] : [point];
}
