import { expect, it } from "vitest";
import { pathKind, PathMeter } from "../src/path.js";

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
  ["prflx", "host", "direct-nat"],
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

it("finds the pair as Firefox marks it", () => {
  const stats = report({ selected: true }, { candidateType: "host" }, { candidateType: "host" });
  (stats as unknown as Map<string, object>).delete("T");
  expect(new PathMeter().read(stats)?.kind).toBe("direct-local");
});

it("tells nothing while there is no path", () => {
  expect(new PathMeter().read(new Map() as unknown as RTCStatsReport)).toBeUndefined();
});
