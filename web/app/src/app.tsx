import type { JSX } from "preact";
import { CallScreen } from "./call/call_screen.js";
import { LeftScreen } from "./screens/left.js";
import { Lobby } from "./screens/lobby.js";
import { StartScreen } from "./screens/start.js";
import type { Application } from "./state/application.js";

/** The whole page. */
export function App({ application }: { readonly application: Application }): JSX.Element {
  const view = application.view.value;
  switch (view.kind) {
    case "start":
      return <StartScreen application={application} />;
    case "lobby":
      return <Lobby application={application} room={view.room} problem={view.problem} />;
    case "joining":
      return <Lobby application={application} room={view.room} joining={view.call} />;
    case "call":
      return (
        <CallScreen
          call={view.call}
          room={view.room}
          hangUp={() => application.hangUp(view.room)}
        />
      );
    case "left":
      return <LeftScreen application={application} room={view.room} why={view.why} />;
  }
}
