import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { RemoveIcon } from "../controls/icons.js";

interface RemovalProps {
  readonly name: string;
  readonly remove: () => void;
}

/** Puts somebody out of the call, after asking once more. */
export function Removal({ name, remove }: RemovalProps): JSX.Element {
  const asking = useSignal(false);
  return (
    <>
      <button
        type="button"
        class="badge removal-button"
        aria-label={`Remove ${name}`}
        aria-expanded={asking.value}
        title={`Remove ${name}`}
        onClick={() => (asking.value = !asking.value)}
      >
        <RemoveIcon />
      </button>
      {asking.value && (
        <div class="removal-question" role="group" aria-label={`Remove ${name} from the call?`}>
          <p class="removal-text">Remove {name}?</p>
          <span class="answers">
            <button type="button" class="button button-small button-danger" onClick={remove}>
              Remove
            </button>
            <button
              type="button"
              class="button button-small"
              onClick={() => (asking.value = false)}
            >
              Keep
            </button>
          </span>
        </div>
      )}
    </>
  );
}
