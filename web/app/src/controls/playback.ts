/** Plays what the element has been given; `blocked` is called when the browser wants a touch first. */
export function play(element: HTMLMediaElement, blocked?: () => void): void {
  element.play().catch((error: unknown) => {
    if (error instanceof DOMException && error.name === "NotAllowedError") blocked?.();
    // A newer stream has taken this one's place before it began.
    else if (!(error instanceof DOMException && error.name === "AbortError")) throw error;
  });
}

/** Gives the element something else to play, unless it is the same. */
export function playStream(
  element: HTMLMediaElement | null,
  stream: MediaStream | undefined,
  blocked?: () => void,
): void {
  if (!element || element.srcObject === (stream ?? null)) return;
  element.srcObject = stream ?? null;
  if (stream) play(element, blocked);
}
