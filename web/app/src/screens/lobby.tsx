import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { DeviceChoices } from "../controls/device_choice.js";
import { LevelBars } from "../controls/level_bars.js";
import type { Application } from "../state/application.js";
import type { Call } from "../state/call.js";
import { nameAndKey } from "../state/room_name.js";
import { Brand } from "./brand.js";
import { ConnectionCheckPanel } from "./connection_check.js";
import { DeviceProblems } from "./device_problems.js";
import { Preview } from "./preview.js";

interface LobbyProps {
  readonly application: Application;
  readonly room: string;
  readonly problem?: string | undefined;
  /** The call that is being joined. */
  readonly joining?: Call;
}

/** Where one looks at oneself before going in. */
export function Lobby(props: LobbyProps): JSX.Element {
  const { application, problem } = props;
  const { capture } = application;
  useEffect(() => {
    void capture.start();
  }, [capture]);
  return (
    <div class="page">
      <header class="page-header">
        <Brand />
      </header>
      <main class="lobby">
        <section class="lobby-preview" aria-label="Your camera and microphone">
          <Preview capture={capture} />
          <LevelBars meter={capture.level} />
          <DeviceProblems capture={capture} />
        </section>
        <section class="lobby-form">
          <h1 class="lobby-title">Ready to join?</h1>
          <p class="lobby-room">{nameAndKey(props.room).name}</p>
          {problem !== undefined && (
            <p class="problem" role="alert">
              {problem}
            </p>
          )}
          <JoinForm {...props} />
          <details class="lobby-devices">
            <summary>Devices</summary>
            <DeviceChoices capture={capture} />
          </details>
          <details class="lobby-devices">
            <summary>Connection</summary>
            <ConnectionCheckPanel check={application.connectionCheck} />
          </details>
        </section>
      </main>
    </div>
  );
}

/** Asked for only by servers that let nobody in without. */
function TokenField({ application }: Pick<LobbyProps, "application">): JSX.Element {
  const { accessToken } = application;
  return (
    <label class="choice">
      <span class="choice-label">Access token</span>
      <input
        class="field"
        type="password"
        autocomplete="off"
        spellcheck={false}
        required
        title="What the server lets you in by"
        value={accessToken.value}
        onInput={(event) => (accessToken.value = event.currentTarget.value)}
      />
    </label>
  );
}

function JoinForm({ application, room, joining }: LobbyProps): JSX.Element {
  const { name, relayOnly } = application.preferences;
  const submit = (event: Event) => {
    event.preventDefault();
    void application.join(room);
  };
  return (
    <form class="join-form" onSubmit={submit}>
      <label class="choice">
        <span class="choice-label">Your name</span>
        <input
          class="field"
          type="text"
          autocomplete="name"
          maxLength={64}
          required
          pattern=".*\S.*"
          title="What the others see you as"
          value={name.value}
          onInput={(event) => (name.value = event.currentTarget.value)}
        />
      </label>
      {application.needsToken.value && <TokenField application={application} />}
      <label class="check">
        <input
          type="checkbox"
          checked={relayOnly.value}
          onChange={(event) => (relayOnly.value = event.currentTarget.checked)}
        />
        <span>
          Always use the relay <span class="quiet">(hides your address from the others)</span>
        </span>
      </label>
      {joining ? (
        <Joining call={joining} cancel={() => application.cancel(room)} />
      ) : (
        <button type="submit" class="button button-primary button-large">
          Join
        </button>
      )}
    </form>
  );
}

const LONG_MS = 4_000;
const LATE = "The server does not answer yet. Check your network; this page goes on trying.";
const KNOCKING = "This call is locked. You have knocked; wait until somebody lets you in.";

interface JoiningProps {
  readonly call: Call;
  readonly cancel: () => void;
}

function Joining({ call, cancel }: JoiningProps): JSX.Element {
  const long = useSignal(false);
  useEffect(() => {
    const timer = setTimeout(() => (long.value = true), LONG_MS);
    return () => clearTimeout(timer);
  }, [long]);
  return (
    <div class="joining" role="status">
      <p>{call.knocking.value ? KNOCKING : long.value ? LATE : "Joining…"}</p>
      <button type="button" class="button" onClick={cancel}>
        Cancel
      </button>
    </div>
  );
}
