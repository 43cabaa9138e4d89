/** How a transport ended. */
export interface TransportEnd {
  /** The close code of section 7 of the protocol; 1006 where there was none. */
  readonly code: number;
  /** What the other side gave as its reason, or an empty text. */
  readonly reason: string;
  /** What the server advises: `retry`, `elsewhere`, `authorize` or `never`, if anything. */
  readonly advice?: string | undefined;
  /** For how long the server asks this client to stay away, in milliseconds. */
  readonly afterMs?: number | undefined;
  /** The base URL of the server to which it sends this client, with the advice `elsewhere`. */
  readonly url?: string | undefined;
}

/** What a transport tells. Nothing comes after `onEnd`. */
export interface TransportListener {
  /** Messages can be sent now. */
  onOpen(): void;
  /** One message of the server has come. */
  onMessage(text: string): void;
  /** The transport is gone, whoever ended it. */
  onEnd(end: TransportEnd): void;
}

/** One connection to the server, whatever carries it. */
export interface Transport {
  /** Sends one message. */
  send(text: string): void;
  /** Ends the connection. `onEnd` is not called for it. */
  close(): void;
}

/** Opens a transport; it reports to `listener`, and never before this function has returned. */
export type TransportFactory = (url: string, listener: TransportListener) => Transport;
