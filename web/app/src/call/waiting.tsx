import type { JSX } from "preact";
import { CopyLink } from "../controls/copy_link.js";

/** Shown while nobody else is here. */
export function Waiting({ room }: { readonly room: string }): JSX.Element {
  return (
    <section class="waiting" aria-label="Waiting for others">
      <h2 class="waiting-title">Waiting for others</h2>
      <p class="quiet">Whoever has this link can join.</p>
      <CopyLink room={room} />
    </section>
  );
}
