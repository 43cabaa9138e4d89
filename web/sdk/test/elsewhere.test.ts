import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Connection } from "../src/connection.js";
import { Destination } from "../src/destination.js";
import { webSocketTransportOf } from "../src/websocket.js";
import { FakeServer } from "./fake_transport.js";

const BLUE = "wss://blue.example/v1/ws";
const GREEN = "wss://green.example/v1/ws";

function connect(url = BLUE) {
  const server = new FakeServer();
  const connection = new Connection({
    url,
    client: "test",
    transport: server.open,
    backoff: { base: 1000, ceiling: 8000 },
    liveness: { quiet: 10_000, patience: 5_000 },
    random: () => 1,
    now: () => Date.now(),
  });
  const moves: string[] = [];
  connection.on("moved", (to) => moves.push(to));
  connection.open();
  return { server, connection, moves };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("a client that is sent elsewhere", () => {
  it("resumes there with its last token after the time that it was told", () => {
    const { server, moves } = connect();
    server.last.welcome();
    server.last.say({ type: "token", token: "for the next" });
    server.last.sendAway("https://green.example", 140);
    expect(moves).toEqual(["https://green.example"]);
    vi.advanceTimersByTime(139);
    expect(server.transports).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(server.last.url).toBe(GREEN);
    server.last.welcome({ resumed: "restored" });
    expect(server.last.of("hello")[0]?.["resume"]).toMatchObject({ token: "for the next" });
  });

  it("stays there when that connection is lost", () => {
    const { server } = connect();
    server.last.welcome();
    server.last.sendAway("https://green.example");
    vi.advanceTimersByTime(0);
    server.last.welcome({ resumed: "restored" });
    server.last.end(1006);
    vi.advanceTimersByTime(1_000);
    expect(server.last.url).toBe(GREEN);
  });

  it("goes there by what was said before, where the connection breaks in between", () => {
    const { server } = connect();
    server.last.welcome();
    const url = "https://green.example";
    server.last.say({ type: "goaway", reason: "shutdown", reconnect_in_ms: 0, url });
    server.last.end(1006);
    vi.advanceTimersByTime(0);
    expect(server.last.url).toBe(GREEN);
  });

  it.each(["http://green.example", "ftp://green.example", "green", "https://green.example/x", ""])(
    "comes back instead where it is sent to %j",
    (url) => {
      const { server, moves } = connect();
      server.last.welcome();
      server.last.sendAway(url, 140);
      vi.advanceTimersByTime(140);
      expect(server.last.url).toBe(BLUE);
      expect(server.transports).toHaveLength(2);
      expect(moves).toEqual([]);
    },
  );

  it("tries the two by turns where nobody answers", () => {
    const { server } = connect();
    server.last.welcome();
    server.last.sendAway("https://green.example");
    vi.advanceTimersByTime(0);
    for (let times = 0; times < 8; times += 1) {
      server.last.end(1006);
      vi.advanceTimersByTime(8_000);
    }
    const tried = server.transports.map(({ url }) => (url === GREEN ? "g" : "b")).join("");
    expect(tried).toBe("bggggbbbbg");
  });

  it("waits ever longer where two servers send it to each other", () => {
    const { server } = connect();
    server.last.welcome();
    server.last.sendAway("https://green.example");
    vi.advanceTimersByTime(0);
    for (const [wait, there] of [
      [1_000, "https://blue.example"],
      [2_000, "https://green.example"],
      [4_000, "https://blue.example"],
    ] as const) {
      const count = server.transports.length;
      server.last.listener.onOpen();
      server.last.sendAway(there, 0);
      vi.advanceTimersByTime(wait - 1);
      expect(server.transports).toHaveLength(count);
      vi.advanceTimersByTime(1);
      expect(server.last.url).toBe(there.replace("https", "wss") + "/v1/ws");
    }
  });
});

it("a destination once reached by TLS is not left for plain text", () => {
  const destination = new Destination("ws://blue.example/v1/ws");
  expect(destination.follow("http://green.example:8080")).toBe(true);
  expect(destination.url).toBe("ws://green.example:8080/v1/ws");
  expect(destination.follow("https://red.example")).toBe(true);
  for (let times = 0; times < 10; times += 1) {
    destination.failed();
    expect(destination.url).toBe("wss://red.example/v1/ws");
  }
  expect(destination.follow("http://blue.example")).toBe(false);
});

it("a WebSocket that the browser refuses to make has ended", async () => {
  const Refusing = function () {
    throw new Error("the policy does not allow it");
  };
  const onEnd = vi.fn();
  const listener = { onOpen: vi.fn(), onMessage: vi.fn(), onEnd };
  webSocketTransportOf(Refusing as never)(GREEN, listener);
  await Promise.resolve();
  expect(onEnd).toHaveBeenCalledWith(expect.objectContaining({ code: 1006 }));
});
