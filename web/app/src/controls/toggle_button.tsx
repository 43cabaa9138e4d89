import type { ComponentChildren, JSX } from "preact";

interface ToggleButtonProps {
  /** What the button controls; it stays the same in both states. */
  readonly label: string;
  readonly pressed: boolean;
  readonly onClick: () => void;
  /** The key that does the same. */
  readonly shortcut?: string;
  /** Marks a state that a person should notice, such as being muted. */
  readonly warning?: boolean;
  /** Marks a state that is not the usual one, such as sharing the screen. */
  readonly active?: boolean;
  readonly count?: number;
  readonly class?: string;
  readonly children: ComponentChildren;
}

/** A round button that is on or off. */
export function ToggleButton(props: ToggleButtonProps): JSX.Element {
  const { label, shortcut, count = 0 } = props;
  const classes = ["round-button"];
  if (props.warning) classes.push("is-warning");
  if (props.active) classes.push("is-active");
  if (props.class) classes.push(props.class);
  return (
    <button
      type="button"
      class={classes.join(" ")}
      aria-label={count > 0 ? `${label}, ${count} unread` : label}
      aria-pressed={props.pressed}
      aria-keyshortcuts={shortcut}
      title={shortcut === undefined ? label : `${label} (${shortcut})`}
      onClick={props.onClick}
    >
      {props.children}
      {count > 0 && (
        <span class="count" aria-hidden="true">
          {count > 99 ? "99+" : count}
        </span>
      )}
    </button>
  );
}
