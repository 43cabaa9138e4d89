import type { JSX } from "preact";
import type { Application } from "../state/application.js";
import { Brand } from "./brand.js";

interface LeftScreenProps {
  readonly application: Application;
  readonly room: string;
  readonly why?: string | undefined;
}

/** After the call. */
export function LeftScreen({ application, room, why }: LeftScreenProps): JSX.Element {
  return (
    <div class="page">
      <header class="page-header">
        <Brand />
      </header>
      <main class="start">
        <h1 class="start-title">{why === undefined ? "You left" : "The call has ended"}</h1>
        <p class="start-lead" role="status">
          {why ?? "Camera and microphone are off."}
        </p>
        <div class="left-actions">
          <button
            type="button"
            class="button button-primary button-large"
            onClick={() => void application.rejoin(room)}
          >
            Rejoin
          </button>
          <button type="button" class="button button-large" onClick={() => application.goHome()}>
            Back to the start
          </button>
        </div>
      </main>
    </div>
  );
}
