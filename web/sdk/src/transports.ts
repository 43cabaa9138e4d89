import type { TransportName } from "./diagnosis.js";
import { requestTransport } from "./requests.js";
import type { TransportFactory } from "./transport.js";
import { type WebSocketConstructor, webSocketTransportOf } from "./websocket.js";

/** @internal All there are, from the best one to the one that passes almost everywhere. */
export function transports(
  constructor: WebSocketConstructor | undefined,
): Readonly<Record<TransportName, TransportFactory>> {
  return {
    websocket: webSocketTransportOf(constructor),
    events: requestTransport("events"),
    held: requestTransport("held"),
    polls: requestTransport("polls"),
  };
}
