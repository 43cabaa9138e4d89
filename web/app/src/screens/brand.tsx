import type { JSX } from "preact";

/** The name of the application, leading back to its start. */
export function Brand(): JSX.Element {
  return (
    <a class="brand" href="/">
      <img class="brand-mark" src="/favicon.svg" alt="" width="28" height="28" />
      Peerage
    </a>
  );
}
