import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import type { Application } from "../state/application.js";
import { invitation } from "../state/room_name.js";
import { Brand } from "./brand.js";

/** Where one begins without a link. */
export function StartScreen({ application }: { readonly application: Application }): JSX.Element {
  return (
    <div class="page">
      <header class="page-header">
        <Brand />
      </header>
      <main class="start">
        <h1 class="start-title">Calls that go straight from you to them</h1>
        <p class="start-lead">
          Start a call and share its link. Whoever has the link can join: no account, nothing to
          install.
        </p>
        <button
          type="button"
          class="button button-primary button-large"
          onClick={() => application.startCall()}
        >
          Start a call
        </button>
        <p class="start-or">or join one</p>
        <LinkForm open={(room, token) => application.openRoom(room, token)} />
      </main>
    </div>
  );
}

function LinkForm({
  open,
}: {
  readonly open: (room: string, token?: string) => void;
}): JSX.Element {
  const problem = useSignal(false);
  const text = useSignal("");
  const field = useRef<HTMLInputElement>(null);
  const submit = (event: Event) => {
    event.preventDefault();
    const invited = invitation(text.value);
    problem.value = invited === undefined;
    if (invited) open(invited.room, invited.token);
    // What is pasted next takes its place.
    else field.current?.select();
  };
  return (
    <form class="link-form" onSubmit={submit} noValidate>
      <input
        ref={field}
        class="field"
        type="text"
        aria-label="Link to a call"
        aria-invalid={problem.value}
        aria-describedby={problem.value ? "link-problem" : undefined}
        placeholder="Paste a link"
        autocomplete="off"
        spellcheck={false}
        value={text.value}
        onInput={(event) => {
          text.value = event.currentTarget.value;
          problem.value = false;
        }}
      />
      <button type="submit" class="button">
        Open
      </button>
      {problem.value && (
        <p class="problem" id="link-problem" role="alert">
          This is not a link to a call. Paste the whole link.
        </p>
      )}
    </form>
  );
}
