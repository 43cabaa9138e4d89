import { type Check, Client, type Diagnosis } from "@peerage/client";
import { signal } from "@preact/signals";
import { inWords } from "./words.js";

/** What there is to show of a connection test. */
export type CheckState =
  | { readonly kind: "idle" }
  | { readonly kind: "running" }
  | { readonly kind: "done"; readonly diagnosis: Diagnosis }
  | { readonly kind: "failed"; readonly why: string };

/** One line of the result. */
export interface Finding {
  readonly what: string;
  readonly check: Check;
}

/** Tests the connection to the server, and what media could flow over. */
export class ConnectionCheck {
  readonly state = signal<CheckState>({ kind: "idle" });
  readonly #url: string;
  readonly #relayOnly: () => boolean;
  #stopping = new AbortController();

  constructor(url: string, relayOnly: () => boolean) {
    this.#url = url;
    this.#relayOnly = relayOnly;
  }

  async run(): Promise<void> {
    this.stop();
    const stopping = (this.#stopping = new AbortController());
    this.state.value = { kind: "running" };
    const iceTransportPolicy = this.#relayOnly() ? "relay" : "all";
    const client = new Client({ url: this.#url, iceTransportPolicy });
    try {
      const diagnosis = await client.diagnose({ signal: stopping.signal });
      this.state.value = { kind: "done", diagnosis };
    } catch (error) {
      if (!stopping.signal.aborted) this.state.value = { kind: "failed", why: inWords(error) };
    } finally {
      client.close();
    }
  }

  stop(): void {
    this.#stopping.abort();
    this.state.value = { kind: "idle" };
  }
}

/** What was found out, from the server to the last resort. */
export function findings({ transports, stun, relays }: Diagnosis): readonly Finding[] {
  return [
    { what: "WebSocket", check: transports.websocket },
    { what: "Event stream", check: transports.events },
    { what: "Long poll", check: transports.held },
    { what: "Poll", check: transports.polls },
    { what: "STUN over UDP", check: stun },
    { what: "Relay over UDP", check: relays.udp },
    { what: "Relay over TCP", check: relays.tcp },
    { what: "Relay over TLS", check: relays.tls },
  ];
}
