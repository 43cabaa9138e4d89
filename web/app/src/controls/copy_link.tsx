import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { linkTo } from "../state/application.js";

const SHOWN_FOR = 2_000;

/** The call's link, in a field from which it can also be copied by hand. */
export function CopyLink({ room }: { readonly room: string }): JSX.Element {
  const result = useSignal("");
  const copy = async () => {
    result.value = (await copyText(linkTo(room))) ? "Copied" : "Select and copy it";
    setTimeout(() => (result.value = ""), SHOWN_FOR);
  };
  return (
    <div class="copy-link">
      <input
        class="field copy-link-field"
        readOnly
        aria-label="Link to this call"
        value={linkTo(room)}
        onFocus={(event) => event.currentTarget.select()}
      />
      <button type="button" class="button button-primary" onClick={() => void copy()}>
        <span aria-live="polite">{result.value === "" ? "Copy link" : result.value}</span>
      </button>
    </div>
  );
}

/** Copies, where the browser lets this page do so. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch (error) {
    console.info("the clipboard is not to be had", error);
    return false;
  }
}
