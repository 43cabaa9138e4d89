import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type AccessToken, Connection } from "../src/connection.js";
import type { PeerageError } from "../src/errors.js";
import type { ServerMessage } from "../src/messages.js";
import { FakeServer } from "./fake_transport.js";

function connect(accessToken?: AccessToken) {
  const server = new FakeServer();
  const connection = new Connection({
    url: "wss://example.org/v1/ws",
    client: "test",
    accessToken,
    transport: server.open,
    backoff: { base: 1000, ceiling: 8000 },
    liveness: { quiet: 10_000, patience: 5_000 },
    random: () => 1,
    now: () => Date.now(),
  });
  const messages: ServerMessage[] = [];
  connection.on("message", (message) => messages.push(message));
  connection.open();
  return { server, connection, messages };
}

const offer = (body: unknown) => ({ type: "offer", room: "r", to: "you", epoch: 1, body }) as const;
const presence = (seq: number) => ({ type: "presence", seq, room: "r", member: { session: "x" } });

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("a session", () => {
  it("says hello first, and what was said before the welcome after it", () => {
    const { server, connection } = connect();
    connection.send(offer(1));
    expect(server.last.sent).toEqual([]);
    server.last.welcome();
    expect(server.last.sent.map(({ type }) => type)).toEqual(["hello", "offer"]);
    expect(server.last.sent[0]).toEqual({ type: "hello", version: 1, client: "test" });
    expect(server.last.of("offer")[0]?.id).toBe(1);
    expect(connection.state).toBe("connected");
  });

  it("resumes after a loss, and repeats what was not applied", () => {
    const { server, connection } = connect();
    server.last.welcome();
    server.last.say(presence(1));
    connection.send(offer("a"));
    connection.send(offer("b"));
    server.last.end(1006);
    expect(connection.state).toBe("reconnecting");
    connection.send(offer("c"));
    vi.advanceTimersByTime(1000);
    server.last.welcome({ resumed: "full", applied: 1, token: "t2" });
    expect(server.last.of("hello")[0]?.["resume"]).toEqual({ session: "me", token: "t1", seq: 1 });
    expect(server.last.of("offer").map(({ id, body }) => [id, body])).toEqual([
      [2, "b"],
      [3, "c"],
    ]);
  });

  it("hands over what was under way when the server has lost it", () => {
    const { server, connection } = connect();
    server.last.welcome();
    connection.send(offer("a"));
    server.last.end(1006);
    vi.advanceTimersByTime(1000);
    const lost: unknown[] = [];
    connection.on("welcome", (event) => lost.push(...event.lost));
    server.last.welcome({ session: "new" });
    expect(lost).toHaveLength(1);
    expect(server.last.of("offer")).toEqual([]);
    server.last.say(presence(1));
  });

  it("waits ever longer between attempts", () => {
    const { server } = connect();
    for (const [wait, count] of [
      [1000, 2],
      [2000, 3],
      [4000, 4],
    ] as const) {
      server.last.end(1006);
      vi.advanceTimersByTime(wait - 1);
      expect(server.transports).toHaveLength(count - 1);
      vi.advanceTimersByTime(1);
      expect(server.transports).toHaveLength(count);
    }
  });

  it("comes back when the server that stops has said", () => {
    const { server } = connect();
    server.last.welcome();
    server.last.say({ type: "goaway", reason: "shutdown", reconnect_in_ms: 1400 });
    server.last.end(1001);
    vi.advanceTimersByTime(1399);
    expect(server.transports).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(server.transports).toHaveLength(2);
  });

  it("stays away for as long as the server asks, whatever wakes it, and then a little more", () => {
    const { server, connection } = connect();
    server.last.welcome();
    server.last.end(4503, "full", "retry", 7_000);
    vi.advanceTimersByTime(6_999);
    connection.wake();
    connection.moved();
    expect(server.transports).toHaveLength(1);
    vi.advanceTimersByTime(1_000);
    expect(server.transports).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(server.transports).toHaveLength(2);
  });

  it("ends for good when told so, and fails what waits", () => {
    const { server, connection } = connect();
    const reject = vi.fn<(error: PeerageError) => void>();
    connection.send({ type: "join", room: "r" }, { resolve: vi.fn(), reject });
    server.last.listener.onOpen();
    server.last.say({ type: "error", code: "unsupported_version", message: "speak 2" });
    server.last.end(4400, "broken_protocol", "never");
    expect(connection.state).toBe("closed");
    expect(reject.mock.calls[0]?.[0]).toMatchObject({ code: "connection_refused" });
    expect(reject.mock.calls[0]?.[0].message).toContain("speak 2");
    vi.advanceTimersByTime(60_000);
    expect(server.transports).toHaveLength(1);
    expect(() => connection.send(offer(1))).toThrow(expect.objectContaining({ code: "closed" }));
  });

  it("says bye when it is closed", () => {
    const { server, connection } = connect();
    server.last.welcome();
    connection.close();
    expect(server.last.sent.at(-1)).toEqual({ type: "bye" });
    expect(server.last.closed).toBe(true);
  });

  it("tries at once when the network comes back", () => {
    const { server, connection } = connect();
    server.last.welcome();
    server.last.end(1006);
    connection.wake();
    expect(server.transports).toHaveLength(2);
    vi.advanceTimersByTime(5000);
    expect(server.transports).toHaveLength(2);
  });
});

it("has two seconds for a sign of life when it is in doubt", () => {
  const { server, connection } = connect();
  server.last.welcome();
  connection.doubt();
  server.last.say({ type: "pong" });
  vi.advanceTimersByTime(5_000);
  expect(connection.state).toBe("connected");
  connection.doubt();
  expect(server.last.of("ping")).toHaveLength(2);
  vi.advanceTimersByTime(2_000);
  expect(connection.state).toBe("reconnecting");
});

describe("another network", () => {
  it("leads to another connection at once, and loses nothing", () => {
    const { server, connection } = connect();
    server.last.welcome();
    connection.send(offer("a"));
    connection.moved();
    expect(server.transports.map(({ closed }) => closed)).toEqual([true, false]);
    expect(connection.state).toBe("reconnecting");
    server.last.welcome({ resumed: "full" });
    expect(server.last.of("hello")[0]?.["resume"]).toMatchObject({ session: "me" });
    expect(server.last.of("offer").map(({ body }) => body)).toEqual(["a"]);
  });

  it("ends an attempt to connect from the old one", () => {
    const { server, connection } = connect();
    connection.moved();
    expect(server.transports.map(({ closed }) => closed)).toEqual([true, false]);
    vi.advanceTimersByTime(9_000);
    expect(server.transports).toHaveLength(2);
  });
});

describe("messages of the server", () => {
  it("are taken in once each", () => {
    const { server, messages } = connect();
    server.last.welcome();
    server.last.say(presence(1));
    server.last.say(presence(1));
    server.last.say(presence(2));
    expect(messages).toHaveLength(2);
  });

  it("are asked for again when one is missing", () => {
    const { server, connection, messages } = connect();
    server.last.welcome();
    server.last.say(presence(1));
    server.last.say(presence(3));
    expect(messages).toHaveLength(1);
    expect(connection.state).toBe("reconnecting");
    vi.advanceTimersByTime(1000);
    server.last.welcome({ resumed: "full" });
    expect(server.last.of("hello")[0]?.["resume"]).toMatchObject({ seq: 1 });
  });

  it("are acknowledged in time, and every 32", () => {
    const { server } = connect();
    server.last.welcome();
    server.last.say(presence(1));
    vi.advanceTimersByTime(499);
    expect(server.last.of("ack")).toEqual([{ type: "ack", seq: 1 }]);
    for (let seq = 2; seq <= 33; seq += 1) server.last.say(presence(seq));
    expect(server.last.of("ack").at(-1)).toEqual({ type: "ack", seq: 33 });
  });
});

describe("answers", () => {
  it("settle the message that they name", () => {
    const { server, connection } = connect();
    server.last.welcome();
    const resolve = vi.fn();
    const reject = vi.fn();
    connection.send({ type: "join", room: "r" }, { resolve, reject });
    connection.send({ type: "join", room: "s" }, { resolve, reject });
    server.last.say({ type: "joined", seq: 1, re: 1, room: "r", members: [] });
    server.last.say({ type: "error", re: 2, code: "room_full", message: "full" });
    expect(resolve).toHaveBeenCalledOnce();
    expect(reject).toHaveBeenCalledWith(expect.objectContaining({ code: "room_full" }));
  });

  it("that complain of the rate have the message sent again later, under a new id", () => {
    const { server, connection } = connect();
    server.last.welcome();
    connection.send(offer("a"));
    server.last.say({
      type: "error",
      re: 1,
      code: "rate_limited",
      message: "slow down",
      retry_after_ms: 2000,
    });
    expect(server.last.of("offer")).toHaveLength(1);
    vi.advanceTimersByTime(2100);
    expect(server.last.of("offer").map(({ id }) => id)).toEqual([1, 2]);
  });
});

describe("liveness", () => {
  it("pings a silent connection, and gives a dead one up", () => {
    const { server, connection } = connect();
    server.last.welcome();
    vi.advanceTimersByTime(10_000);
    expect(server.last.of("ping")).toHaveLength(1);
    server.last.say({ type: "pong" });
    vi.advanceTimersByTime(10_000);
    expect(server.last.of("ping")).toHaveLength(2);
    vi.advanceTimersByTime(5_000);
    expect(connection.state).toBe("reconnecting");
  });

  it("has an answered ping confirm what went before it", () => {
    const { server, connection } = connect();
    server.last.welcome();
    connection.send(offer("a"));
    vi.advanceTimersByTime(10_000);
    connection.send(offer("b"));
    server.last.say({ type: "pong" });
    server.last.end(1006);
    vi.advanceTimersByTime(1000);
    server.last.welcome({ resumed: "full", applied: 0 });
    expect(server.last.of("offer").map(({ body }) => body)).toEqual(["b"]);
  });

  it("gives up on a server that never says welcome", () => {
    const { server } = connect();
    server.last.listener.onOpen();
    vi.advanceTimersByTime(11_000);
    expect(server.transports).toHaveLength(2);
  });
});

it("keeps within the rate that the server allows", () => {
  const { server, connection } = connect();
  server.last.welcome();
  for (let count = 0; count < 300; count += 1) connection.send(offer(count));
  expect(server.last.of("offer").length).toBeLessThanOrEqual(200);
  vi.advanceTimersByTime(5_000);
  expect(server.last.of("offer")).toHaveLength(300);
});

describe("an access token", () => {
  /** The last transport opens, and what it waits for comes. */
  const opened = (server: FakeServer) => {
    server.last.listener.onOpen();
    return vi.advanceTimersByTimeAsync(0);
  };
  const settled = () => vi.advanceTimersByTimeAsync(0);

  it("goes into hello as it is", () => {
    const { server } = connect("t0");
    server.last.listener.onOpen();
    expect(server.last.sent[0]).toEqual({
      type: "hello",
      version: 1,
      client: "test",
      access_token: "t0",
    });
  });

  it("is got anew for every connection", async () => {
    let number = 0;
    const { server } = connect(() => Promise.resolve(`t${String(++number)}`));
    server.last.welcome();
    await settled();
    expect(server.last.sent[0]?.["access_token"]).toBe("t1");
    server.last.end(4403, "unauthorized", "authorize");
    await vi.advanceTimersByTimeAsync(1000);
    await opened(server);
    expect(server.last.sent[0]?.["access_token"]).toBe("t2");
    expect(server.last.sent[0]?.["resume"]).toBeDefined();
  });

  it("is renewed while connected when the server says that it expires", async () => {
    let number = 0;
    const { server, connection } = connect(() => Promise.resolve(`t${String(++number)}`));
    server.last.welcome();
    await settled();
    server.last.say({ type: "token_expiring", expires_in_ms: 60_000 });
    await settled();
    expect(server.last.of("authorize")).toEqual([{ type: "authorize", id: 1, access_token: "t2" }]);
    server.last.say({ type: "authorized", seq: 1, re: 1, expires_in_ms: 3_600_000 });
    expect(connection.state).toBe("connected");
  });

  it("that is refused and cannot be renewed ends the client with a typed error", () => {
    const { server, connection } = connect("t0");
    const errors: PeerageError[] = [];
    connection.on("closed", (error) => errors.push(error));
    server.last.say({ type: "error", code: "unauthorized", message: "no" });
    server.last.end(4403, "unauthorized", "authorize");
    expect(errors.map(({ code }) => code)).toEqual(["unauthorized"]);
  });

  it("is not asked for without end when every one is refused", async () => {
    let number = 0;
    const { server, connection } = connect(() => Promise.resolve(`t${String(++number)}`));
    const errors: PeerageError[] = [];
    connection.on("closed", (error) => errors.push(error));
    for (let round = 0; round < 3; round++) {
      await opened(server);
      server.last.end(4403, "unauthorized", "authorize");
      await vi.advanceTimersByTimeAsync(20_000);
    }
    expect(errors.map(({ code }) => code)).toEqual(["unauthorized"]);
    expect(number).toBe(3);
  });

  it("that was revoked is not shown again", async () => {
    const { server, connection } = connect(() => Promise.resolve("t"));
    const errors: PeerageError[] = [];
    connection.on("closed", (error) => errors.push(error));
    server.last.welcome();
    await settled();
    server.last.end(4410, "revoked", "never");
    expect(errors.map(({ code }) => code)).toEqual(["revoked"]);
  });

  it("that cannot be had now is asked for again", async () => {
    let number = 0;
    const { server } = connect(() =>
      ++number === 1 ? Promise.reject(new Error("offline")) : Promise.resolve("t"),
    );
    await opened(server);
    await vi.advanceTimersByTimeAsync(1000);
    await opened(server);
    expect(server.last.sent[0]?.["access_token"]).toBe("t");
  });
});
