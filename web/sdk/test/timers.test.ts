import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { keepTime, startTimer, stopTimer } from "../src/timers.js";

interface Asked {
  readonly ring: number;
  readonly after?: number;
}

/** As much of a worker as is touched; it rings when the test says so. */
class FakeWorker {
  static readonly all: FakeWorker[] = [];
  readonly url: string;
  readonly asked: Asked[] = [];
  terminated = false;
  onmessage: ((event: { data: number }) => void) | null = null;
  onerror: ((event: Event) => void) | null = null;

  constructor(url: string) {
    this.url = url;
    FakeWorker.all.push(this);
  }

  postMessage(asked: Asked): void {
    this.asked.push(asked);
  }

  terminate(): void {
    this.terminated = true;
  }
}

const stops: (() => void)[] = [];

/** A page that keeps time, and the worker that it does so with. */
function keeping(): FakeWorker {
  stops.push(keepTime());
  const worker = FakeWorker.all.at(-1);
  if (!worker) throw new Error("no worker was started");
  return worker;
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("Worker", FakeWorker);
});
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
  FakeWorker.all.length = 0;
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

describe("a timer", () => {
  it("rings once, by the page or by the worker, whichever is first", () => {
    const worker = keeping();
    const rung: string[] = [];
    startTimer(() => rung.push("page"), 300);
    startTimer(() => rung.push("worker"), 500);
    const [first, second] = worker.asked;
    expect([first?.after, second?.after]).toEqual([300, 500]);
    vi.advanceTimersByTime(300);
    worker.onmessage?.({ data: first?.ring ?? -1 });
    // As in a page that sleeps: its own timer comes late.
    worker.onmessage?.({ data: second?.ring ?? -1 });
    vi.advanceTimersByTime(60_000);
    expect(rung).toEqual(["page", "worker"]);
  });

  it("that is stopped does not ring, and the worker forgets it", () => {
    const worker = keeping();
    const callback = vi.fn();
    const timer = startTimer(callback, 300);
    stopTimer(timer);
    expect(worker.asked.at(-1)).toEqual({ ring: timer });
    worker.onmessage?.({ data: timer });
    vi.advanceTimersByTime(1_000);
    expect(callback).not.toHaveBeenCalled();
  });

  it("rings where there is no worker, where it is refused, and where it does not start", () => {
    const callback = vi.fn();
    vi.stubGlobal("Worker", undefined);
    stops.push(keepTime());
    startTimer(callback, 300);
    stops.pop()?.();
    vi.stubGlobal("Worker", function refuse() {
      throw new Error("the page's policy");
    });
    stops.push(keepTime());
    startTimer(callback, 300);
    stops.pop()?.();
    vi.stubGlobal("Worker", FakeWorker);
    const worker = keeping();
    worker.onerror?.(new Event("error"));
    startTimer(callback, 300);
    vi.advanceTimersByTime(300);
    expect(callback).toHaveBeenCalledTimes(3);
    expect([worker.asked, worker.terminated]).toEqual([[], true]);
  });
});

describe("the worker", () => {
  it("is one for all clients, and ends with the last", () => {
    const worker = keeping();
    keeping();
    stops[0]?.();
    stops[0]?.();
    expect([FakeWorker.all.length, worker.terminated]).toEqual([1, false]);
    stops[1]?.();
    expect(worker.terminated).toBe(true);
  });

  it("is a file of its own beside the library", () => {
    expect(keeping().url).toMatch(/\/clock_worker\.js$/);
  });

  it("rings what it is asked for, unless it is taken back", async () => {
    const rung = vi.fn();
    vi.stubGlobal("postMessage", rung);
    await import(new URL("../src/clock_worker.js", import.meta.url).href);
    const { onmessage } = globalThis as unknown as {
      readonly onmessage: (event: { data: Asked }) => void;
    };
    onmessage({ data: { ring: 1, after: 300 } });
    onmessage({ data: { ring: 2, after: 300 } });
    onmessage({ data: { ring: 1 } });
    vi.advanceTimersByTime(300);
    expect(rung.mock.calls).toEqual([[2]]);
  });
});
