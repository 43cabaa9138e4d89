import type { Check, Diagnosis, PathVerdict } from "@peerage/client";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { type ConnectionCheck, findings } from "../state/connection_check.js";

const VERDICTS: Readonly<Record<PathVerdict, string>> = {
  direct: "Direct calls work",
  "relay-udp": "Calls work over a relay",
  "relay-tcp": "Calls work over a relay by TCP",
  "relay-tls": "Calls work over a relay by TLS",
  "signaling-only": "Calls would be silent and dark",
  offline: "The server is out of reach",
};

/** Tests the connection when asked to, and says what was found. */
export function ConnectionCheckPanel({ check }: { readonly check: ConnectionCheck }): JSX.Element {
  useEffect(() => () => check.stop(), [check]);
  const state = check.state.value;
  const running = state.kind === "running";
  return (
    <div class="connection-check">
      <div class="connection-check-action">
        <button
          type="button"
          class="button button-small"
          onClick={() => {
            if (running) check.stop();
            else void check.run();
          }}
        >
          {running ? "Cancel" : "Check connection"}
        </button>
        {running && <span class="quiet">Checking… up to ten seconds</span>}
      </div>
      <div role="status">
        {state.kind === "done" && <Result diagnosis={state.diagnosis} />}
        {state.kind === "failed" && <p class="problem">{state.why}</p>}
      </div>
    </div>
  );
}

function Result({ diagnosis }: { readonly diagnosis: Diagnosis }): JSX.Element {
  const { verdict, reason } = diagnosis;
  return (
    <section class="connection-result" aria-label="Connection" data-verdict={verdict}>
      <h2 class="connection-verdict">{VERDICTS[verdict]}</h2>
      <p class="quiet">{reason}</p>
      <dl class="connection-findings">
        {findings(diagnosis).map(({ what, check }) => (
          <div key={what} class="connection-finding" data-outcome={check.outcome}>
            <dt>{what}</dt>
            <dd title={check.reason}>{outcomeInWords(check)}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function outcomeInWords({ outcome, roundTripMs }: Check): string {
  if (outcome === "failed") return "does not pass";
  if (outcome === "untested") return "not offered";
  return roundTripMs === undefined
    ? "passes"
    : `passes, ${Math.max(1, Math.round(roundTripMs))} ms`;
}
