import { webSocketEnd } from "./close_codes.js";
import type { Transport, TransportFactory, TransportListener } from "./transport.js";

/** As much of a WebSocket as is used. */
export interface WebSocketLike {
  readonly readyState: number;
  send(text: string): void;
  close(code: number): void;
  addEventListener(type: "open" | "error", listener: () => void): void;
  addEventListener(type: "message", listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(
    type: "close",
    listener: (event: { readonly code: number; readonly reason: string }) => void,
  ): void;
}

/** Opens a WebSocket, as the browser's own does, or that of the package `ws`. */
export type WebSocketConstructor = new (url: string) => WebSocketLike;

const OPEN = 1;

/** A transport over a WebSocket. */
class WebSocketTransport implements Transport {
  readonly #socket: WebSocketLike;
  #isClosed = false;

  constructor(constructor: WebSocketConstructor, url: string, listener: TransportListener) {
    const socket = new constructor(url);
    this.#socket = socket;
    socket.addEventListener("open", () => {
      if (!this.#isClosed) listener.onOpen();
    });
    socket.addEventListener("message", ({ data }) => {
      if (!this.#isClosed) listener.onMessage(String(data));
    });
    socket.addEventListener("close", ({ code, reason }) => {
      if (!this.#isClosed) listener.onEnd(webSocketEnd(code, reason));
    });
    // It says nothing of its own, "close" always follows it, and Node wants it to be listened to.
    socket.addEventListener("error", () => undefined);
  }

  send(text: string): void {
    // A socket that is closing drops what it is given; whatever matters is sent again on resume.
    if (this.#socket.readyState === OPEN) this.#socket.send(text);
  }

  close(): void {
    this.#isClosed = true;
    this.#socket.close(1000);
  }
}

/** What stands in where no WebSocket can be had. */
class NoTransport implements Transport {
  constructor(reason: string, listener: TransportListener) {
    queueMicrotask(() => listener.onEnd({ code: 1006, reason }));
  }

  send(): void {
    // Nothing was opened.
  }

  close(): void {
    // Nothing was opened.
  }
}

/** @internal Opens WebSockets of this kind, or of the platform's own. */
export function webSocketTransportOf(given: WebSocketConstructor | undefined): TransportFactory {
  return (url, listener) => {
    const own = (globalThis as { readonly WebSocket?: WebSocketConstructor }).WebSocket;
    const constructor = given ?? own;
    if (!constructor) return new NoTransport("there is no WebSocket here", listener);
    try {
      return new WebSocketTransport(constructor, url, listener);
    } catch (error) {
      // Some browsers say so at once where the page's policy does not allow it.
      return new NoTransport(String(error), listener);
    }
  };
}

/** Opens a WebSocket. */
export const webSocketTransport: TransportFactory = webSocketTransportOf(undefined);
