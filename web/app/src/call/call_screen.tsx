import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import type { Call } from "../state/call.js";
import { ChatPanel } from "./chat_panel.js";
import { Grid } from "./grid.js";
import { Messages } from "./messages.js";
import { DevicesPanel, ShortcutsPanel } from "./panels.js";
import { listenForShortcuts } from "./shortcuts.js";
import { Toolbar } from "./toolbar.js";
import { Waiting } from "./waiting.js";

interface CallScreenProps {
  readonly call: Call;
  readonly room: string;
  readonly hangUp: () => void;
}

/** The call itself. */
export function CallScreen({ call, room, hangUp }: CallScreenProps): JSX.Element {
  useEffect(() => listenForShortcuts(call), [call]);
  const alone = call.participants.value.length === 0;
  return (
    <div class="call">
      <h1 class="visually-hidden">Call</h1>
      <div class="call-stage">
        <main class="call-main">
          <Grid call={call} />
          {alone && <Waiting room={room} />}
          <Messages call={call} />
        </main>
        {call.chat.open.value && <ChatPanel call={call} />}
        {call.panel.value === "devices" && <DevicesPanel call={call} />}
        {call.panel.value === "shortcuts" && <ShortcutsPanel call={call} />}
      </div>
      <Toolbar call={call} room={room} hangUp={hangUp} />
    </div>
  );
}
