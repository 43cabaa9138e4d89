import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Recovery } from "../src/recovery.js";
import { FakePeerConnection } from "./fake_peer_connection.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A connection that was negotiated, in this state, with the other side within reach or not. */
function watched(state: RTCIceConnectionState = "connected") {
  const connection = new FakePeerConnection();
  connection.remoteDescription = { type: "answer", sdp: "theirs" };
  connection.iceConnectionState = state;
  const reach = { negotiable: true };
  const rebuild = vi.fn();
  const doubtServer = vi.fn();
  const recovery = new Recovery({ canNegotiate: () => reach.negotiable, doubtServer, rebuild });
  recovery.watch(connection.asReal());
  return { connection, recovery, rebuild, reach, doubtServer };
}

describe("an interruption", () => {
  it("is left alone when it is short", () => {
    const { connection } = watched();
    connection.becomeIce("disconnected");
    vi.advanceTimersByTime(1_999);
    connection.becomeIce("connected");
    vi.advanceTimersByTime(60_000);
    expect(connection.restarts).toBe(0);
  });

  it("of two seconds leads to a restart, and a failure at once", () => {
    const { connection } = watched();
    connection.becomeIce("disconnected");
    vi.advanceTimersByTime(2_000);
    expect(connection.restarts).toBe(1);
    connection.becomeIce("failed");
    expect(connection.restarts).toBe(2);
  });

  it("that a restart does not end leads to another, ever more seldom", () => {
    const { connection } = watched();
    connection.becomeIce("failed");
    vi.advanceTimersByTime(5_000);
    expect(connection.restarts).toBe(2);
    vi.advanceTimersByTime(9_999);
    expect(connection.restarts).toBe(2);
    vi.advanceTimersByTime(1);
    expect(connection.restarts).toBe(3);
  });

  it("casts doubt on the way to the server", () => {
    const { connection, doubtServer } = watched();
    connection.becomeIce("disconnected");
    expect(doubtServer).toHaveBeenCalledOnce();
  });

  it("does not pile offers up while one is unanswered", () => {
    const { connection, reach } = watched();
    reach.negotiable = false;
    connection.becomeIce("failed");
    connection.signalingState = "have-local-offer";
    vi.advanceTimersByTime(600_000);
    expect(connection.restarts).toBe(1);
  });
});

describe("another connection", () => {
  it("is made after three restarts that led to nothing", () => {
    const { connection, rebuild } = watched();
    connection.becomeIce("failed");
    vi.advanceTimersByTime(34_999);
    expect([connection.restarts, rebuild.mock.calls.length]).toEqual([3, 0]);
    vi.advanceTimersByTime(1);
    expect([connection.restarts, rebuild.mock.calls.length]).toEqual([3, 1]);
  });

  it("is watched, and gets as many restarts as the first had", () => {
    const { connection, recovery, rebuild } = watched();
    const second = new FakePeerConnection();
    rebuild.mockImplementationOnce(() => recovery.watch(second.asReal()));
    connection.becomeIce("failed");
    vi.advanceTimersByTime(35_000);
    connection.becomeIce("failed");
    second.remoteDescription = { type: "answer", sdp: "theirs" };
    second.becomeIce("failed");
    vi.advanceTimersByTime(119_000);
    expect([connection.restarts, second.restarts, rebuild.mock.calls.length]).toEqual([3, 3, 1]);
    vi.advanceTimersByTime(1_000);
    expect(rebuild).toHaveBeenCalledTimes(2);
  });

  it("is not made while the other side cannot hear of it", () => {
    const { connection, rebuild, reach } = watched();
    reach.negotiable = false;
    connection.becomeIce("failed");
    vi.advanceTimersByTime(600_000);
    expect(rebuild).not.toHaveBeenCalled();
  });

  it("is made where the two sides have no keys in common", () => {
    const { connection, rebuild } = watched();
    connection.become("failed");
    vi.advanceTimersByTime(2_000);
    expect([connection.restarts, rebuild.mock.calls.length]).toEqual([0, 1]);
  });

  it("is made where the browser cannot restart", () => {
    const { connection, rebuild } = watched();
    connection.restartIce = () => {
      throw new Error("not implemented");
    };
    connection.becomeIce("failed");
    vi.advanceTimersByTime(5_000);
    expect(rebuild).toHaveBeenCalledOnce();
  });
});

describe("another network", () => {
  it("leads to a restart at once, whatever the browser still thinks", () => {
    const { connection, recovery } = watched();
    recovery.moved();
    expect(connection.restarts).toBe(1);
  });

  it("leads to no further restart once something comes over the path", async () => {
    const { connection, recovery } = watched();
    connection.connectionState = "connected";
    connection.path = { localType: "host", bytesReceived: 7 };
    recovery.moved();
    await vi.advanceTimersByTimeAsync(5_500);
    connection.path.bytesReceived += 1;
    await vi.advanceTimersByTimeAsync(600_000);
    expect(connection.restarts).toBe(1);
  });

  it("leads to another restart when an offer is under way", () => {
    const { connection, recovery } = watched();
    connection.signalingState = "have-local-offer";
    recovery.moved();
    expect(connection.restarts).toBe(1);
  });

  it("does not matter before there is an answer", () => {
    const { connection, recovery } = watched();
    connection.remoteDescription = null;
    recovery.moved();
    vi.advanceTimersByTime(60_000);
    expect(connection.restarts).toBe(0);
  });
});

describe("once the server is there again", () => {
  it.each([
    ["over which something comes is left alone", 1, 0],
    ["over which nothing comes is restarted", 0, 1],
  ])("a path %s", async (_, bytes, restarts) => {
    const { connection, recovery } = watched();
    connection.connectionState = "connected";
    connection.path = { localType: "host", bytesReceived: 7 };
    recovery.resumed();
    await vi.advanceTimersByTimeAsync(500);
    connection.path.bytesReceived += bytes;
    await vi.advanceTimersByTimeAsync(600);
    expect(connection.restarts).toBe(restarts);
  });

  it("a broken path is restarted at once", () => {
    const { connection, recovery } = watched("disconnected");
    recovery.resumed();
    expect(connection.restarts).toBe(1);
  });

  it("to the other side, a broken path is restarted and a good one is not", () => {
    const { connection, recovery } = watched("disconnected");
    recovery.returned();
    connection.iceConnectionState = "connected";
    recovery.returned();
    expect(connection.restarts).toBe(1);
  });
});

it.each([
  ["relay", 1],
  ["srflx", 0],
])("new credentials restart a path by %s %i times", async (localType, restarts) => {
  const { connection, recovery } = watched();
  connection.path = { localType, bytesReceived: 0 };
  await recovery.renewed();
  expect(connection.restarts).toBe(restarts);
});

it("stops", () => {
  const { connection, recovery } = watched();
  connection.becomeIce("disconnected");
  recovery.stop();
  connection.becomeIce("failed");
  recovery.moved();
  vi.advanceTimersByTime(60_000);
  expect(connection.restarts).toBe(0);
});
