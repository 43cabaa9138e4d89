import type { Unsubscribe } from "./emitter.js";

/**
 * Calls `wake` when the browser says that the network is back, or the page is seen again: timers
 * may have been asleep until then. Does nothing outside of a page.
 *
 * @internal
 */
export function onWake(wake: () => void): Unsubscribe {
  const stopping = new AbortController();
  const { signal } = stopping;
  if (typeof window !== "undefined") {
    window.addEventListener("online", wake, { signal });
    window.addEventListener("pageshow", wake, { signal });
  }
  if (typeof document !== "undefined") {
    const whenVisible = () => {
      if (document.visibilityState === "visible") wake();
    };
    document.addEventListener("visibilitychange", whenVisible, { signal });
  }
  return () => stopping.abort();
}
