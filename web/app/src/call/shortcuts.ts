import type { Call } from "../state/call.js";

export interface Shortcut {
  readonly key: string;
  readonly meaning: string;
}

export const SHORTCUTS: readonly Shortcut[] = [
  { key: "m", meaning: "Microphone on or off" },
  { key: "v", meaning: "Camera on or off" },
  { key: "s", meaning: "Share the screen, or stop" },
  { key: "c", meaning: "Open or close the chat" },
  { key: "?", meaning: "This list" },
  { key: "Esc", meaning: "Close what is open" },
];

/** Acts on single keys, until the returned function is called. */
export function listenForShortcuts(call: Call): () => void {
  const act = (event: KeyboardEvent) => {
    if (event.key === "Escape") call.closePanels();
    else if (!event.repeat && !isForSomethingElse(event)) press(event, call);
  };
  document.addEventListener("keydown", act);
  return () => document.removeEventListener("keydown", act);
}

function press(event: KeyboardEvent, call: Call): void {
  const actions: Readonly<Record<string, () => void>> = {
    m: () => void call.toggleMicrophone(),
    v: () => void call.toggleCamera(),
    s: () => void call.toggleScreen(),
    c: () => call.toggleChat(),
    "?": () => call.togglePanel("shortcuts"),
  };
  const action = actions[event.key.toLowerCase()];
  if (!action) return;
  // Otherwise the letter that opens the chat is typed into it.
  event.preventDefault();
  action();
}

function isForSomethingElse(event: KeyboardEvent): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey) return true;
  const target = event.target;
  return target instanceof Element && target.closest("input, textarea, select") !== null;
}
