import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { SendIcon } from "../controls/icons.js";
import type { Call } from "../state/call.js";
import { type ChatMessage, LONGEST_TEXT } from "../state/chat.js";
import { Panel } from "./panel.js";

/** The conversation. */
export function ChatPanel({ call }: { readonly call: Call }): JSX.Element {
  const messages = call.chat.messages.value;
  const log = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (log.current) log.current.scrollTop = log.current.scrollHeight;
  }, [messages]);
  return (
    <Panel title="Chat" close={() => call.closePanels()}>
      <div
        class="chat-log"
        ref={log}
        role="log"
        aria-live="polite"
        aria-label="Messages"
        tabIndex={0}
      >
        {messages.length === 0 && (
          <p class="chat-empty">
            Messages go straight to the others and are kept nowhere. Who joins later does not see
            them.
          </p>
        )}
        <ol class="chat-messages">
          {messages.map((message) => (
            <Message key={message.id} message={message} />
          ))}
        </ol>
      </div>
      <ChatForm say={(text) => call.say(text)} />
    </Panel>
  );
}

function Message({ message }: { readonly message: ChatMessage }): JSX.Element {
  const { at, from, missed, own, text } = message;
  return (
    <li class={own ? "chat-message is-own" : "chat-message"}>
      <p class="chat-from">
        <span class="chat-name">{from}</span>
        <time dateTime={at.toISOString()}>
          {at.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" })}
        </time>
      </p>
      <p class="chat-text">{text}</p>
      {missed.length > 0 && <p class="chat-missed">Did not reach {missed.join(", ")}</p>}
    </li>
  );
}

function ChatForm({ say }: { readonly say: (text: string) => void }): JSX.Element {
  const text = useSignal("");
  const field = useRef<HTMLTextAreaElement>(null);
  // Before the next key comes: it is meant for the field, and would be taken for a shortcut.
  useLayoutEffect(() => field.current?.focus(), []);
  const send = () => {
    say(text.value);
    text.value = "";
  };
  return (
    <form
      class="chat-form"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        ref={field}
        class="field chat-field"
        aria-label="Message"
        placeholder="Write to everyone"
        rows={1}
        maxLength={LONGEST_TEXT}
        value={text.value}
        onInput={(event) => (text.value = event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
          event.preventDefault();
          send();
        }}
      />
      <button
        type="submit"
        class="round-button round-button-primary"
        aria-label="Send"
        title="Send (Enter)"
        disabled={text.value.trim() === ""}
      >
        <SendIcon />
      </button>
    </form>
  );
}
