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

/** How the connection is to be tested: as calls would use it. */
export interface CheckOptions {
  readonly relayOnly: boolean;
  readonly accessToken: string | undefined;
}

/** Tests the connection to the server, and what media could flow over. */
export class ConnectionCheck {
  readonly state = signal<CheckState>({ kind: "idle" });
  readonly #url: string;
  readonly #options: () => CheckOptions;
  #stopping = new AbortController();

  constructor(url: string, options: () => CheckOptions) {
    this.#url = url;
    this.#options = options;
  }

  async run(): Promise<void> {
    this.stop();
    const stopping = (this.#stopping = new AbortController());
    this.state.value = { kind: "running" };
    const { relayOnly, accessToken } = this.#options();
    const client = new Client({
      url: this.#url,
      iceTransportPolicy: relayOnly ? "relay" : "all",
      ...(accessToken !== undefined && { accessToken }),
    });
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
