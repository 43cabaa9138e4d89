import type { ComponentChildren, JSX } from "preact";
import { CloseIcon } from "../controls/icons.js";

interface PanelProps {
  readonly title: string;
  readonly close: () => void;
  readonly children: ComponentChildren;
}

/** Something beside the call; over it, where there is no room beside. */
export function Panel({ title, close, children }: PanelProps): JSX.Element {
  return (
    <aside class="panel" aria-label={title}>
      <header class="panel-header">
        <h2 class="panel-title">{title}</h2>
        <button
          type="button"
          class="round-button round-button-small"
          aria-label={`Close ${title.toLowerCase()}`}
          title="Close (Esc)"
          onClick={close}
        >
          <CloseIcon />
        </button>
      </header>
      {children}
    </aside>
  );
}
