import { expect, it, vi } from "vitest";
import { pathKind, PathMeter, watchPath } from "../src/path.js";

function report(pair: object, local: object, remote: object): RTCStatsReport {
  return new Map<string, object>([
    ["T", { type: "transport", id: "T", selectedCandidatePairId: "P" }],
    [
      "P",
      { type: "candidate-pair", id: "P", localCandidateId: "L", remoteCandidateId: "R", ...pair },
    ],
    ["L", { type: "local-candidate", id: "L", protocol: "udp", ...local }],
    ["R", { type: "remote-candidate", id: "R", ...remote }],
  ]);
}

it.each([
  ["host", "host", "direct-local"],
  ["host", "srflx", "direct-nat"],
  ["prflx", "host", "direct"],
  ["prflx", "prflx", "direct"],
  ["srflx", "prflx", "direct-nat"],
  ["prflx", "relay", "relayed"],
  ["relay", "host", "relayed"],
  ["srflx", "relay", "relayed"],
  ["relay", "relay", "relayed"],
] as const)("%s to %s is %s", (local, remote, kind) => {
  expect(pathKind(local, remote)).toBe(kind);
});

it("tells the relay, the round trip and the rates since the last reading", () => {
  const meter = new PathMeter();
  const local = { candidateType: "relay", relayProtocol: "tls" };
  const remote = { candidateType: "host" };
  const first = { timestamp: 1000, bytesSent: 0, bytesReceived: 100, currentRoundTripTime: 0.025 };
  const second = { ...first, timestamp: 3000, bytesSent: 1000, bytesReceived: 600 };
  expect(meter.read(report(first, local, remote))).toEqual({
    kind: "relayed",
    protocol: "udp",
    relayProtocol: "tls",
    relay: "own",
    roundTripMs: 25,
    sendBitrate: undefined,
    receiveBitrate: undefined,
  });
  expect(meter.read(report(second, local, remote))).toMatchObject({
    sendBitrate: 4000,
    receiveBitrate: 2000,
  });
});

it("takes an address that checks have revealed for a NAT's only when it has lasted", () => {
  const meter = new PathMeter();
  const host = { candidateType: "host" };
  const revealed = { candidateType: "prflx" };
  const kindAt = (timestamp: number, remote: object, id = "P") => {
    const stats = report({ timestamp }, host, remote);
    Object.assign(stats.get("P") as object, { id });
    return meter.read(stats)?.kind;
  };
  expect(kindAt(0, revealed)).toBe("direct");
  expect(kindAt(5_000, revealed)).toBe("direct");
  expect(kindAt(5_001, revealed)).toBe("direct-nat");
  expect(kindAt(6_000, revealed, "another")).toBe("direct");
  expect(kindAt(7_000, host)).toBe("direct-local");
  expect(kindAt(20_000, revealed, "another")).toBe("direct");
});

it("hears of another pair from the browsers that tell", () => {
  class Connection extends EventTarget {
    sctp: object | null = null;
  }
  const connection = new Connection();
  const changed = vi.fn();
  watchPath(connection as unknown as RTCPeerConnection, changed);
  const connect = () => connection.dispatchEvent(new Event("connectionstatechange"));
  connect();
  connection.sctp = { transport: {} };
  connect();
  const iceTransport = new EventTarget();
  connection.sctp = { transport: { iceTransport } };
  connect();
  connect();
  iceTransport.dispatchEvent(new Event("selectedcandidatepairchange"));
  expect(changed).toHaveBeenCalledOnce();
});

it("finds the pair as Firefox marks it", () => {
  const stats = report({ selected: true }, { candidateType: "host" }, { candidateType: "host" });
  (stats as unknown as Map<string, object>).delete("T");
  expect(new PathMeter().read(stats)?.kind).toBe("direct-local");
});

it("tells nothing while there is no path", () => {
  expect(new PathMeter().read(new Map() as unknown as RTCStatsReport)).toBeUndefined();
});
