import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { ladder } from "../src/ladder.js";
import type { TransportEnd } from "../src/transport.js";
import { FakeServer } from "./fake_transport.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const LOST = { code: 1006, reason: "" };

/** Four transports, and a client that opens one after the other. */
function climbing() {
  const rungs = [new FakeServer(), new FakeServer(), new FakeServer(), new FakeServer()];
  const open = ladder(rungs.map((rung) => rung.open));
  const ends: TransportEnd[] = [];
  return {
    rungs,
    ends,
    /** Opens one, and says which it is. */
    open: (url = "wss://example/v1/ws") => {
      const before = rungs.map((rung) => rung.transports.length);
      const transport = open(url, {
        onOpen: () => undefined,
        onMessage: () => undefined,
        onEnd: (end) => ends.push(end),
      });
      const rung = rungs.findIndex((rung, index) => rung.transports.length > (before[index] ?? 0));
      return { rung, transport };
    },
  };
}

it("keeps to a transport that has worked", () => {
  const { rungs, open } = climbing();
  expect(open().rung).toBe(0);
  for (let times = 0; times < 5; times += 1) {
    rungs[0]?.last.welcome();
    vi.advanceTimersByTime(30_000);
    rungs[0]?.last.listener.onEnd(LOST);
    expect(open().rung).toBe(0);
  }
});

it("leaves one that works for a short time only, again and again", () => {
  const { rungs, open } = climbing();
  open();
  for (const expected of [0, 1]) {
    rungs[0]?.last.welcome();
    vi.advanceTimersByTime(29_999);
    rungs[0]?.last.listener.onEnd(LOST);
    expect(open().rung).toBe(expected);
  }
});

it("tries one after the other until one works", () => {
  const { rungs, open } = climbing();
  for (const expected of [0, 1, 2, 3, 0, 1]) {
    const { rung } = open();
    expect(rung).toBe(expected);
    rungs[rung]?.last.listener.onEnd(LOST);
  }
});

it("stays where the server itself has refused", () => {
  const { rungs, open } = climbing();
  open();
  rungs[0]?.last.listener.onEnd({ code: 4503, reason: "full" });
  expect(open().rung).toBe(0);
});

it("does not wait for ever for one that says nothing", () => {
  const { rungs, ends, open } = climbing();
  open();
  vi.advanceTimersByTime(5_000);
  expect(ends).toHaveLength(1);
  expect(rungs[0]?.last.closed).toBe(true);
  expect(open().rung).toBe(1);
});

it("counts one that the client gives up as one that does not work", () => {
  const { open } = climbing();
  open().transport.close();
  expect(open().rung).toBe(1);
});

it("goes back to the best one once it passes", () => {
  const { rungs, ends, open } = climbing();
  open();
  rungs[0]?.last.listener.onEnd(LOST);
  ends.length = 0;
  open();
  rungs[1]?.last.welcome();
  const [first, second] = rungs;
  // The first try is in vain, the second is not.
  vi.advanceTimersByTime(5_000);
  expect(first?.transports).toHaveLength(2);
  first?.last.listener.onEnd(LOST);
  expect(ends).toHaveLength(0);
  vi.advanceTimersByTime(20_000);
  expect(first?.transports).toHaveLength(3);
  first?.last.listener.onOpen();
  expect(ends).toEqual([{ code: 1006, reason: "a better transport is to be had" }]);
  expect(second?.last.closed).toBe(true);
  expect(first?.last.closed).toBe(true);
  expect(open().rung).toBe(0);
});

it("tries nothing any more once it is closed", () => {
  const { rungs, open } = climbing();
  open();
  rungs[0]?.last.listener.onEnd(LOST);
  const { transport } = open();
  rungs[1]?.last.welcome();
  transport.close();
  vi.advanceTimersByTime(3_600_000);
  expect(rungs[0]?.transports).toHaveLength(1);
});

it("begins with the best one at another server", () => {
  const { rungs, open } = climbing();
  open();
  rungs[0]?.last.listener.onEnd(LOST);
  expect(open().rung).toBe(1);
  expect(open("wss://other/v1/ws").rung).toBe(0);
});
