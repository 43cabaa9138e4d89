import type { Unsubscribe } from "./emitter.js";

/**
 * Calls `wake` when the page is seen again: timers may have been asleep until then. Does nothing outside of a page.
 *
 * @internal
 */
export function onWake(wake: () => void): Unsubscribe {
  const stopping = new AbortController();
  const { signal } = stopping;
  if (typeof window !== "undefined") {
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

/** What browsers for phones tell of the network; its other numbers change all the time. */
interface NetworkInformation extends EventTarget {
  readonly type?: string;
}

/**
 * Calls `changed` when this device has another network. Does nothing where nobody tells.
 *
 * @internal
 */
export function onNetworkChange(changed: () => void): Unsubscribe {
  const stopping = new AbortController();
  const { signal } = stopping;
  if (typeof window !== "undefined") window.addEventListener("online", changed, { signal });
  const network =
    typeof navigator === "undefined"
      ? undefined
      : (navigator as { readonly connection?: NetworkInformation }).connection;
  let type = network?.type;
  const whenOther = () => {
    if (network?.type === type) return;
    type = network?.type;
    if (type !== "none") changed();
  };
  network?.addEventListener("change", whenOther, { signal });
  return () => stopping.abort();
}
