import type { Knocker } from "@peerage/client";
import type { JSX } from "preact";
import type { Door } from "../state/door.js";

const AT_ONCE = 3;

/** Those who wait to be let in, for whoever may do so. */
export function Knocks({ door }: { readonly door: Door }): JSX.Element | null {
  const waiting = door.waiting.value;
  const more = waiting.length - AT_ONCE;
  if (waiting.length === 0) return null;
  return (
    <ul class="knocks" aria-label="People who wait to be let in">
      {waiting.slice(0, AT_ONCE).map((knocker) => (
        <Knock key={knocker.session} knocker={knocker} door={door} />
      ))}
      {more > 0 && <li class="knock">{more === 1 ? "One more waits" : `${more} more wait`}</li>}
    </ul>
  );
}

function Knock({ knocker, door }: { readonly knocker: Knocker; readonly door: Door }): JSX.Element {
  const name = knocker.name ?? "Guest";
  return (
    <li class="knock">
      <span class="knock-text">{name} wants to come in</span>
      <span class="answers">
        <button
          type="button"
          class="button button-small button-primary"
          aria-label={`Admit ${name}`}
          onClick={() => door.admit(knocker.session)}
        >
          Admit
        </button>
        <button
          type="button"
          class="button button-small"
          aria-label={`Deny ${name}`}
          onClick={() => door.deny(knocker.session)}
        >
          Deny
        </button>
      </span>
    </li>
  );
}
