import type { Transport, TransportFactory, TransportListener } from "./transport.js";

/** A transport over a WebSocket. */
class WebSocketTransport implements Transport {
  readonly #socket: WebSocket;
  readonly #listening = new AbortController();

  constructor(url: string, listener: TransportListener) {
    this.#socket = new WebSocket(url);
    const { signal } = this.#listening;
    this.#socket.addEventListener("open", () => listener.onOpen(), { signal });
    this.#socket.addEventListener("message", (event) => listener.onMessage(String(event.data)), {
      signal,
    });
    // An "error" event says nothing of its own, and "close" always follows it.
    this.#socket.addEventListener("close", ({ code, reason }) => listener.onEnd({ code, reason }), {
      signal,
    });
  }

  send(text: string): void {
    // A socket that is closing drops what it is given; whatever matters is sent again on resume.
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(text);
  }

  close(): void {
    this.#listening.abort();
    this.#socket.close(1000);
  }
}

/** Opens a WebSocket. */
export const webSocketTransport: TransportFactory = (url, listener) =>
  new WebSocketTransport(url, listener);
