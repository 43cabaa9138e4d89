import { type Closed, endOf } from "./close_codes.js";
import { events } from "./event_stream.js";
import { pause, startTimer, stopTimer } from "./timers.js";
import type { Transport, TransportEnd, TransportFactory, TransportListener } from "./transport.js";

/** How what the server says is read: as a stream, by requests that it holds, or now and then. */
export type Reading = "events" | "held" | "polls";

/** Longer than the server holds a request, in seconds. */
const HELD = 25;
/** A stream of which nothing has come by then is held back on its way. */
const FIRST_BYTES_WITHIN = 4_000;
/** How often in a row a request that reads may fail, and the wait before the next one. */
const RETRIES = 2;
const RETRY_AFTER = 500;
/** Where the server does not say when to ask again, in milliseconds. */
const PAUSE = 2_000;
/** So long what the server has said last may take to be read: longer than the pause between polls. */
const LAST_WORDS = 3_000;
/** The server takes 65,536 bytes a request; this many characters are at most so many bytes. */
const MOST_CHARACTERS = 20_000;

/** What the server answers to a first request or a poll. */
interface Batch {
  readonly connection?: string;
  readonly cursor: number;
  readonly messages: readonly object[];
  readonly closed?: Closed;
}

/** The end of a transport, on its way to the listener. */
class Ended extends Error {
  readonly end: TransportEnd;

  constructor(end: TransportEnd) {
    super(end.reason);
    this.end = end;
  }
}

/** A transport over plain requests, for networks that pass no WebSocket. */
class RequestTransport implements Transport {
  readonly #base: string;
  readonly #listener: TransportListener;
  readonly #reading: Reading;
  readonly #stopping = new AbortController();
  readonly #unsent: string[] = [];
  #isSending = false;
  #key: string | undefined;
  #cursor = 0;
  /** What came with the first answer, as long as it is not sure that more can be read. */
  #untold: Batch | undefined;

  constructor(url: string, listener: TransportListener, reading: Reading) {
    this.#base = new URL(".", url).href.replace(/^ws/, "http");
    this.#listener = listener;
    this.#reading = reading;
    queueMicrotask(() => {
      if (!this.#isOver) listener.onOpen();
    });
  }

  /** Whether more can be read than the first answer. */
  get #isSure(): boolean {
    return this.#untold === undefined;
  }

  get #isOver(): boolean {
    return this.#stopping.signal.aborted;
  }

  send(text: string): void {
    this.#unsent.push(text);
    if (!this.#isSending) void this.#flush();
  }

  /** What has been given to `send` still goes out. */
  close(): void {
    this.#stopping.abort();
  }

  async #flush(): Promise<void> {
    this.#isSending = true;
    try {
      for (let first = this.#unsent.shift(); first !== undefined; first = this.#unsent.shift()) {
        if (this.#key === undefined) await this.#connect(first);
        else await this.#post(first);
      }
    } catch (error) {
      this.#end(error);
    }
    this.#isSending = false;
  }

  async #connect(hello: string): Promise<void> {
    if (this.#isOver) return;
    const { signal } = this.#stopping;
    const answer = await fetch(`${this.#base}connect`, { method: "POST", body: hello, signal });
    // Whatever is in the way answers with something else.
    const batch = (await answer.json()) as Partial<Batch>;
    if (batch.messages === undefined || batch.cursor === undefined) {
      const code = answer.status === 503 || answer.status === 429 ? 4503 : 1006;
      throw new Ended({ code, reason: answer.statusText, afterMs: retryAfter(answer) });
    }
    this.#key = batch.connection;
    const first = { cursor: batch.cursor, messages: batch.messages, ...batch };
    void this.#read(first).catch((error: unknown) => this.#end(error));
  }

  /** Sends `first`, and with it what else waits and has room. */
  async #post(first: string): Promise<void> {
    const texts = [first];
    let length = first.length;
    while (this.#unsent.length > 0 && texts.length < 100) {
      length += this.#unsent[0]?.length ?? 0;
      if (length > MOST_CHARACTERS) break;
      texts.push(...this.#unsent.splice(0, 1));
    }
    const body = texts.length === 1 ? first : `[${texts.join(",")}]`;
    // So that a page that is left still says its goodbye; browsers do it for short bodies only.
    const answer = await fetch(`${this.#base}messages`, {
      method: "POST",
      body,
      headers: this.#headers(),
      keepalive: body.length <= MOST_CHARACTERS,
    });
    if (answer.status === 410) {
      const { closed } = (await answer.json()) as Batch;
      // What the server has said last is still to be read, and with it this end.
      await pause(LAST_WORDS);
      throw new Ended(closed ? endOf(closed) : LOST);
    }
    if (!answer.ok) throw new Ended(LOST);
  }

  /** Passes `first` on once it is sure that more can be read. */
  async #read(first: Batch): Promise<void> {
    this.#untold = first;
    const tell = () => {
      const batch = this.#untold;
      this.#untold = undefined;
      if (batch) this.#take(batch);
    };
    this.#cursor = first.cursor;
    if (this.#reading !== "events" || first.closed) tell();
    let failures = 0;
    while (!this.#isOver) {
      const before = this.#cursor;
      try {
        if (this.#reading === "events") await this.#stream(before, tell);
        else await this.#poll(this.#reading === "held" ? HELD : 0);
        failures = 0;
      } catch (error) {
        // The server, or what is in the way, ends a request now and then. Nothing is lost by it:
        // the next one goes on where this one was.
        failures = this.#cursor === before ? failures + 1 : 1;
        if (error instanceof Ended || !this.#isSure || failures > RETRIES) throw error;
        await pause(RETRY_AFTER);
      }
    }
  }

  async #stream(cursor: number, onFirstBytes: () => void): Promise<void> {
    const stream = new AbortController();
    const signal = AbortSignal.any([stream.signal, this.#stopping.signal]);
    const late = startTimer(() => stream.abort(), FIRST_BYTES_WITHIN);
    const onBytes = () => {
      stopTimer(late);
      onFirstBytes();
    };
    try {
      const headers = { ...this.#headers(), "last-event-id": String(cursor) };
      const answer = await fetch(`${this.#base}events`, { headers, signal });
      if (!answer.ok || answer.body === null) throw new Ended(LOST);
      for await (const event of events(answer.body, onBytes)) {
        if (this.#isOver) return;
        if (event.name === "closed") throw new Ended(endOf(JSON.parse(event.data) as Closed));
        if (event.name === "ping") this.#answer();
        if (event.name !== "") continue;
        this.#cursor = Number(event.id);
        this.#listener.onMessage(event.data);
      }
    } finally {
      stopTimer(late);
      stream.abort();
    }
  }

  /**
   * Says that this client is there, at once: behind no message that is still on its way, and without
   * a timer, which a hidden page has to wait for. If it fails the stream will, too.
   */
  #answer(): void {
    const { signal } = this.#stopping;
    const request = { method: "POST", body: "[]", headers: this.#headers(), signal };
    fetch(`${this.#base}messages`, request).catch(() => undefined);
  }

  async #poll(wait: number): Promise<void> {
    const { signal } = this.#stopping;
    const url = `${this.#base}poll?cursor=${this.#cursor}&wait=${wait}`;
    const answer = await fetch(url, { headers: this.#headers(), signal });
    if (!answer.ok) throw new Ended(LOST);
    this.#take((await answer.json()) as Batch);
    if (wait === 0) {
      await pause(retryAfter(answer) ?? PAUSE);
    }
  }

  #take(batch: Batch): void {
    for (const message of batch.messages) {
      if (!this.#isOver) this.#listener.onMessage(JSON.stringify(message));
    }
    this.#cursor = batch.cursor;
    if (batch.closed) throw new Ended(endOf(batch.closed));
  }

  #headers(): Record<string, string> {
    return { authorization: `Bearer ${this.#key ?? ""}` };
  }

  #end(error: unknown): void {
    if (this.#isOver) return;
    this.#stopping.abort();
    this.#unsent.length = 0;
    this.#listener.onEnd(error instanceof Ended ? error.end : { ...LOST, reason: String(error) });
  }
}

/** When to ask again, in milliseconds, where the server says it. */
function retryAfter(answer: Response): number | undefined {
  return Number(answer.headers.get("retry-after")) * 1_000 || undefined;
}

const LOST: TransportEnd = { code: 1006, reason: "the connection is lost" };

/** Carries messages by requests, and reads in this way. */
export function requestTransport(reading: Reading): TransportFactory {
  return (url, listener) => new RequestTransport(url, listener, reading);
}
