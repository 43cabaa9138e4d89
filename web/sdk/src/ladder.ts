import { startTimer, stopTimer, type Timer } from "./timers.js";
import type { Transport, TransportEnd, TransportFactory, TransportListener } from "./transport.js";
import { webSocketTransport } from "./websocket.js";

/** A transport on which nothing has come by then does not work here, in milliseconds. */
const PATIENCE = 5_000;
/** One that works for no longer than this, so often in a row, does not work here either. */
const SHORT = 30_000;
const SHORT_LIVES = 2;
/** When it is tried whether the best one works after all, for the first time and at most. */
const FIRST_CLIMB = 5_000;
const LAST_CLIMB = 600_000;

/** The code of an end that nobody has given a reason for, as browsers have it. */
const LOST = 1006;

/** Which transport is used; it outlives the transports. */
interface Ladder {
  /** For which server that holds. */
  url: string;
  readonly rungs: readonly TransportFactory[];
  rung: number;
  /** How many in a row have lived for a short time only. */
  shortLives: number;
  climb: number;
}

/** One transport that was opened, and whether the next one should be another. */
class Climber implements Transport {
  readonly #ladder: Ladder;
  readonly #rung: number;
  readonly #url: string;
  readonly #listener: TransportListener;
  readonly #transport: Transport;
  #timer: Timer;
  #probe: Transport | undefined;
  /** When the first message came. */
  #worksSince: number | undefined;

  constructor(ladder: Ladder, open: TransportFactory, url: string, listener: TransportListener) {
    this.#ladder = ladder;
    this.#rung = ladder.rung;
    this.#url = url;
    this.#listener = listener;
    this.#timer = startTimer(() => this.#give("nothing came in time"), PATIENCE);
    this.#transport = open(url, {
      onOpen: () => listener.onOpen(),
      onMessage: (text) => this.#take(text),
      onEnd: (end) => this.#end(end),
    });
  }

  send(text: string): void {
    this.#transport.send(text);
  }

  close(): void {
    this.#stop();
    this.#transport.close();
  }

  #take(text: string): void {
    if (this.#worksSince === undefined) {
      this.#worksSince = performance.now();
      stopTimer(this.#timer);
      if (this.#rung > 0) this.#timer = startTimer(() => this.#tryTheBest(), this.#ladder.climb);
    }
    this.#listener.onMessage(text);
  }

  #end(end: TransportEnd): void {
    // Any other code is the server's: it was reached.
    if (end.code === LOST) this.#stop();
    else this.#cancel();
    this.#listener.onEnd(end);
  }

  /** Gives the transport up, as if it had ended by itself. */
  #give(reason: string): void {
    this.close();
    this.#listener.onEnd({ code: LOST, reason });
  }

  /** If it does not work here, the next one is to be another. */
  #stop(): void {
    this.#cancel();
    const ladder = this.#ladder;
    if (ladder.rung !== this.#rung) return;
    const lived = performance.now() - (this.#worksSince ?? Infinity);
    ladder.shortLives = lived >= SHORT ? 0 : ladder.shortLives + 1;
    if (this.#worksSince !== undefined && ladder.shortLives < SHORT_LIVES) return;
    ladder.rung = (this.#rung + 1) % ladder.rungs.length;
    ladder.shortLives = 0;
  }

  #cancel(): void {
    stopTimer(this.#timer);
    this.#probe?.close();
  }

  #tryTheBest(): void {
    const ladder = this.#ladder;
    ladder.climb = Math.min(LAST_CLIMB, ladder.climb * 4);
    this.#timer = startTimer(() => this.#tryTheBest(), ladder.climb);
    this.#probe?.close();
    this.#probe = ladder.rungs[0]?.(this.#url, {
      onOpen: () => {
        ladder.rung = 0;
        ladder.climb = FIRST_CLIMB;
        this.#give("a better transport is to be had");
      },
      onMessage: () => undefined,
      onEnd: () => undefined,
    });
  }
}

/**
 * A WebSocket; where the network passes none, a stream of events, requests that the server holds,
 * or a request now and then; and the WebSocket again as soon as it passes.
 *
 * @internal
 */
export function ladder(rungs: readonly TransportFactory[]): TransportFactory {
  let state: Ladder | undefined;
  return (url, listener) => {
    // Another server is another network, which may pass what the way to the first did not.
    if (state?.url !== url) state = { url, rungs, rung: 0, shortLives: 0, climb: FIRST_CLIMB };
    const open = rungs[state.rung] ?? webSocketTransport;
    return new Climber(state, open, url, listener);
  };
}
