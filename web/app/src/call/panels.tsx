import type { JSX } from "preact";
import { DeviceChoices } from "../controls/device_choice.js";
import { LevelBars } from "../controls/level_bars.js";
import type { Call } from "../state/call.js";
import { Panel } from "./panel.js";
import { SHORTCUTS } from "./shortcuts.js";

/** The choice of devices during the call. */
export function DevicesPanel({ call }: { readonly call: Call }): JSX.Element {
  return (
    <Panel title="Devices" close={() => call.closePanels()}>
      <div class="panel-body">
        <DeviceChoices capture={call.capture} />
        <LevelBars meter={call.capture.level} />
      </div>
    </Panel>
  );
}

/** The keys that do something. */
export function ShortcutsPanel({ call }: { readonly call: Call }): JSX.Element {
  return (
    <Panel title="Keyboard shortcuts" close={() => call.closePanels()}>
      <dl class="panel-body shortcuts">
        {SHORTCUTS.map(({ key, meaning }) => (
          <div key={key} class="shortcut">
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
    </Panel>
  );
}
