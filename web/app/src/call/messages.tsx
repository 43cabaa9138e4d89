import { useSignal, useSignalEffect } from "@preact/signals";
import type { JSX } from "preact";
import type { Call } from "../state/call.js";
import { Knocks } from "./knocks.js";

const GOOD_NEWS_MS = 3_000;

/** What the person should know, in order of weight. */
export function Messages({ call }: { readonly call: Call }): JSX.Element {
  const alone = call.participants.value.length === 0;
  return (
    <div class={alone ? "messages is-above" : "messages"} aria-live="polite">
      <ServerBanner call={call} />
      <Knocks door={call.door} />
      {call.soundBlocked.value && (
        <button type="button" class="banner banner-action" onClick={() => unblock(call)}>
          The browser keeps the sound off. Turn it on
        </button>
      )}
      {call.notices.all.value.map(({ id, text }) => (
        <p key={id} class="banner">
          {text}
        </p>
      ))}
    </div>
  );
}

/** Tells of the connection to the server, when it is lost and when it is back. */
function ServerBanner({ call }: { readonly call: Call }): JSX.Element | null {
  const lost = useSignal(false);
  const back = useSignal(false);
  useSignalEffect(() => {
    if (call.server.value === "reconnecting") {
      lost.value = true;
    } else if (lost.peek()) {
      lost.value = false;
      back.value = true;
      setTimeout(() => (back.value = false), GOOD_NEWS_MS);
    }
  });
  if (lost.value) return <p class="banner banner-warning">Reconnecting… the call goes on</p>;
  return back.value ? <p class="banner banner-good">Connected again</p> : null;
}

function unblock(call: Call): void {
  call.soundBlocked.value = false;
  for (const element of document.querySelectorAll<HTMLMediaElement>("audio, video")) {
    // Those without a stream would wait for one.
    if (!element.srcObject) continue;
    element.play().catch((error: unknown) => {
      console.warn("sound or picture does not play", error);
      call.soundBlocked.value = true;
    });
  }
}
