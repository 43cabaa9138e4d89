import { asError } from "./errors.js";
import { parseServerMessage, type Welcome } from "./messages.js";
import type { Transport, TransportFactory } from "./transport.js";

/** @internal A session of the test's own. */
export interface Greeting {
  readonly welcome: Welcome;
  readonly roundTripMs: number;
  /** Ends the session. */
  end(): void;
}

/**
 * Says hello over a transport, and asks whether it is heard: both directions work then.
 *
 * @throws Error with the reason, in words; what `signal` was aborted with
 * @internal
 */
export function greet(
  open: TransportFactory,
  url: string,
  hello: object,
  signal: AbortSignal,
): Promise<Greeting> {
  return new Promise((resolve, reject) => {
    let welcome: Welcome | undefined;
    let askedAt = 0;
    const say = (message: object) => transport.send(JSON.stringify(message));
    const end = () => {
      say({ type: "bye" });
      transport.close();
    };
    const fail = (error: unknown) => {
      transport.close();
      reject(asError(error));
    };
    const take = (text: string) => {
      const message = parseServerMessage(text);
      if (!("type" in message)) return;
      if (message.type === "error") fail(new Error(`it says: ${message.message}`));
      if (message.type === "pong" && welcome) {
        resolve({ welcome, roundTripMs: performance.now() - askedAt, end });
      }
      if (message.type !== "welcome") return;
      welcome = message;
      askedAt = performance.now();
      say({ type: "ping" });
    };
    const transport: Transport = open(url, {
      onOpen: () => say(hello),
      onMessage: (text) => {
        try {
          take(text);
        } catch (error) {
          fail(error);
        }
      },
      onEnd: ({ code, reason }) => {
        reject(new Error(reason === "" ? `the connection ended with ${code}` : reason));
      },
    });
    signal.addEventListener("abort", () => fail(signal.reason), { once: true });
  });
}
