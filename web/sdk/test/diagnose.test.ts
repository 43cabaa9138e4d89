import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { diagnose, type Subject } from "../src/diagnose.js";
import { type Check, type Findings, judge } from "../src/diagnosis.js";
import { FakePeerConnection } from "./fake_peer_connection.js";
import { FakeServer } from "./fake_transport.js";

const passed: Check = { outcome: "passed", reason: undefined, roundTripMs: 20 };
const failed: Check = { outcome: "failed", reason: "blocked", roundTripMs: undefined };
const untested: Check = { outcome: "untested", reason: undefined, roundTripMs: undefined };

describe("the verdict", () => {
  const reachable = { websocket: failed, events: passed, held: passed, polls: passed };
  const unreachable = { websocket: failed, events: failed, held: failed, polls: failed };
  const none = { udp: failed, tcp: failed, tls: failed };
  const all = { udp: passed, tcp: passed, tls: passed };
  const verdict = (findings: Partial<Findings>, relayOnly = false) =>
    judge({ transports: reachable, stun: failed, relays: none, ...findings }, relayOnly);

  it.each([
    ["direct", { stun: passed, relays: all }, false],
    ["direct", { stun: passed }, false],
    ["relay-udp", { stun: passed, relays: all }, true],
    ["relay-udp", { relays: all }, false],
    ["relay-tcp", { relays: { ...none, tcp: passed, tls: passed } }, false],
    ["relay-tls", { relays: { ...none, tls: passed } }, false],
    ["signaling-only", {}, false],
    ["signaling-only", { stun: passed }, true],
    ["offline", { transports: unreachable, stun: passed, relays: all }, false],
  ] as const)("is %s for %j", (expected, findings, relayOnly) => {
    const { verdict: given, reason } = verdict(findings, relayOnly);
    expect(given).toBe(expected);
    expect(reason).toMatch(/^[A-Z].*[^.]\.$/);
  });

  it("says why the server cannot be reached, and what a direct path has to do without", () => {
    expect(verdict({ transports: unreachable }).reason).toContain("blocked");
    expect(verdict({ stun: passed }).reason).toContain("no relay helps");
    const relays = { udp: untested, tcp: untested, tls: untested };
    expect(verdict({ relays }).reason).toContain("there is no relay");
  });
});

describe("a test", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function subject() {
    const servers = {
      websocket: new FakeServer(),
      events: new FakeServer(),
      held: new FakeServer(),
      polls: new FakeServer(),
    };
    const connections: FakePeerConnection[] = [];
    const tested: Subject = {
      url: "wss://example.org/v1/ws",
      hello: { type: "hello", version: 1 },
      transports: {
        websocket: servers.websocket.open,
        events: servers.events.open,
        held: servers.held.open,
        polls: servers.polls.open,
      },
      createConnection: (configuration) => {
        const connection = new FakePeerConnection(configuration);
        connections.push(connection);
        return connection.asReal();
      },
      relayOnly: false,
    };
    return { tested, servers, connections };
  }

  const TURN = { urls: ["stun:x", "turn:x?transport=udp", "turns:x?transport=tcp"], username: "u" };

  it("reaches a verdict in time whatever is silent, and leaves nothing open", async () => {
    const { tested, servers, connections } = subject();
    const result = diagnose(tested, {});
    servers.events.last.welcome({ ice_servers: [TURN] });
    servers.held.last.end(1006, "a proxy");
    await vi.advanceTimersByTimeAsync(40);
    servers.events.last.say({ type: "pong" });
    await vi.advanceTimersByTimeAsync(9_960);
    const { verdict, roundTripMs, transports, stun, relays } = await result;
    expect([verdict, roundTripMs]).toEqual(["signaling-only", 40]);
    expect(transports).toMatchObject({
      websocket: { outcome: "failed", reason: "nothing came within 10 s" },
      events: { outcome: "passed", roundTripMs: 40 },
      held: { outcome: "failed", reason: "a proxy" },
    });
    expect([stun.outcome, relays.udp.outcome]).toEqual(["failed", "failed"]);
    expect([relays.tcp.outcome, relays.tls.outcome]).toEqual(["untested", "failed"]);
    // One to ask for the own address, and two that meet at each relay, with one address each.
    const used = connections.map(({ configuration }) => configuration);
    expect(used.map(({ iceServers }) => iceServers?.[0]?.urls)).toEqual([
      ["stun:x"],
      ...Array<string>(2).fill("turn:x?transport=udp"),
      ...Array<string>(2).fill("turns:x?transport=tcp"),
    ]);
    expect(used.slice(1).every((each) => each.iceTransportPolicy === "relay")).toBe(true);
    expect(connections.map(({ connectionState }) => connectionState)).toEqual(
      Array(5).fill("closed"),
    );
    await vi.advanceTimersByTimeAsync(0);
    expect(servers.events.last.of("bye")).toHaveLength(1);
    const { websocket, events, polls } = servers;
    expect([websocket, events, polls].map(({ last }) => last.closed)).toEqual([true, true, true]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("shows the access token, also one that has to be got", async () => {
    for (const accessToken of ["a token", () => Promise.resolve("a token")]) {
      const { tested, servers } = subject();
      const result = diagnose({ ...tested, accessToken }, {});
      await vi.advanceTimersByTimeAsync(0);
      for (const { last } of Object.values(servers)) {
        last.listener.onOpen();
        expect(last.of("hello")).toMatchObject([{ access_token: "a token" }]);
        last.end(1006);
      }
      expect((await result).verdict).toBe("offline");
    }
  });

  it("says why there is no access token, and waits for it no longer than for the rest", async () => {
    const tokens = [
      () => Promise.reject(new Error("no login")),
      () => new Promise<string>(() => undefined),
    ];
    const reasons: unknown[] = [];
    for (const accessToken of tokens) {
      const result = diagnose({ ...subject().tested, accessToken }, {});
      await vi.advanceTimersByTimeAsync(10_000);
      reasons.push((await result).transports.websocket.reason);
    }
    expect(reasons).toEqual(["no login", "nothing came within 10 s"]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("ends when it is told to, with the caller's reason", async () => {
    const { tested, servers, connections } = subject();
    const stopping = new AbortController();
    const result = diagnose(tested, { signal: stopping.signal });
    servers.websocket.last.welcome({ ice_servers: [TURN] });
    servers.websocket.last.say({ type: "pong" });
    await vi.advanceTimersByTimeAsync(10);
    const reason = new Error("the caller is bored");
    stopping.abort(reason);
    await expect(result).rejects.toBe(reason);
    expect(connections.every(({ connectionState }) => connectionState === "closed")).toBe(true);
    expect(servers.polls.last.closed).toBe(true);
  });

  it("passes with an answer that names this side's own address, and with another", async () => {
    for (const found of [{ type: "host" }, { type: "srflx" }]) {
      const { tested, servers, connections } = subject();
      const result = diagnose(tested, {});
      servers.websocket.last.welcome({ ice_servers: [{ urls: "stun:x" }] });
      servers.websocket.last.say({ type: "pong" });
      for (const name of ["events", "held", "polls"] as const) servers[name].last.end(1006);
      await vi.advanceTimersByTimeAsync(10);
      const tell = (candidate: object | null) =>
        connections[0]?.dispatchEvent(Object.assign(new Event("icecandidate"), { candidate }));
      tell({ ...found, candidate: "…" });
      tell(null);
      expect(await result).toMatchObject({ verdict: "direct", stun: { outcome: "passed" } });
    }
  });

  it("says with what words a relay refuses", async () => {
    const { tested, servers, connections } = subject();
    const result = diagnose(tested, {});
    servers.websocket.last.welcome({ ice_servers: [{ urls: "turn:x", username: "u" }] });
    servers.websocket.last.say({ type: "pong" });
    for (const name of ["events", "held", "polls"] as const) servers[name].last.end(1006);
    await vi.advanceTimersByTimeAsync(10);
    const tell = (type: string, fields: object) =>
      connections[0]?.dispatchEvent(Object.assign(new Event(type), fields));
    tell("icecandidateerror", { errorCode: 401, errorText: "Unauthorized" });
    tell("icecandidate", { candidate: null });
    const { relays, verdict } = await result;
    expect([relays.udp.reason, verdict]).toEqual(["Unauthorized", "signaling-only"]);
  });
});
