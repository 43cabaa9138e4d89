import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { NegotiationError } from "../src/errors.js";
import { Negotiation } from "../src/negotiation.js";
import { FakePeerConnection } from "./fake_peer_connection.js";

function negotiate(polite: boolean) {
  const connection = new FakePeerConnection();
  const sent: { type: string; body: unknown }[] = [];
  const failures: NegotiationError[] = [];
  const expected: unknown[] = [];
  const negotiation = new Negotiation(connection.asReal(), polite, {
    send: (type, body) => sent.push({ type, body }),
    labels: () => ({ "0": "camera" }),
    expect: (labels) => expected.push(labels),
    failed: (error) => failures.push(error),
  });
  return { connection, negotiation, sent, failures, expected };
}

const settle = () => vi.advanceTimersByTimeAsync(0);
const theirs = { type: "offer", sdp: "theirs", labels: { "1": "screen" } };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("the impolite side", () => {
  it("offers at once, with the labels of its media", async () => {
    const { connection, sent } = negotiate(false);
    connection.needNegotiation();
    await settle();
    expect(sent).toEqual([
      { type: "offer", body: { type: "offer", sdp: "local offer", labels: { "0": "camera" } } },
    ]);
  });

  it("ignores an offer that crosses its own, and the candidates that belong to it", async () => {
    const { connection, negotiation, sent, failures } = negotiate(false);
    connection.needNegotiation();
    negotiation.handle("offer", theirs);
    negotiation.handle("candidate", { candidate: "x" });
    await settle();
    expect(connection.remoteDescription).toBeNull();
    expect(sent.map(({ type }) => type)).toEqual(["offer"]);
    expect(failures).toEqual([]);
  });
});

describe("the polite side", () => {
  it("waits a moment for the other's first offer, and answers it", async () => {
    const { connection, negotiation, sent, expected } = negotiate(true);
    connection.needNegotiation();
    negotiation.handle("offer", theirs);
    await settle();
    expect(sent).toEqual([{ type: "answer", body: { type: "answer", sdp: "local answer" } }]);
    expect(expected).toEqual([{ "1": "screen" }]);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(sent).toHaveLength(1);
  });

  it("offers by itself when none comes", async () => {
    const { connection, sent } = negotiate(true);
    connection.needNegotiation();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(sent.map(({ type }) => type)).toEqual(["offer"]);
  });

  it("takes its own offer back when another crosses it", async () => {
    const { connection, negotiation, sent } = negotiate(true);
    connection.needNegotiation();
    await vi.advanceTimersByTimeAsync(1_000);
    negotiation.handle("offer", theirs);
    await settle();
    expect(sent.map(({ type }) => type)).toEqual(["offer", "answer"]);
    expect(connection.signalingState).toBe("stable");
  });

  it("lets the browser begin to gather before it takes a first offer back", async () => {
    const { connection, negotiation, sent } = negotiate(true);
    connection.iceGatheringState = "new";
    connection.needNegotiation();
    await vi.advanceTimersByTimeAsync(1_000);
    negotiation.handle("offer", theirs);
    await settle();
    expect(sent.map(({ type }) => type)).toEqual(["offer"]);
    connection.dispatchEvent(new Event("icegatheringstatechange"));
    await settle();
    expect(sent.map(({ type }) => type)).toEqual(["offer", "answer"]);
  });
});

describe("candidates", () => {
  it("are sent as they are found, and their end too", () => {
    const { connection, sent } = negotiate(false);
    const found = (candidate: unknown) =>
      connection.dispatchEvent(Object.assign(new Event("icecandidate"), { candidate }));
    found({ candidate: "a", toJSON: () => ({ candidate: "a" }) });
    found({ candidate: "", toJSON: () => ({}) });
    found(null);
    expect(sent).toEqual([
      { type: "candidate", body: { candidate: "a" } },
      { type: "candidate", body: null },
    ]);
  });

  it("that cannot be applied are reported, unless an ICE restart has made them stale", async () => {
    const { connection, negotiation, failures } = negotiate(true);
    negotiation.handle("offer", { ...theirs, sdp: "a=ice-ufrag:now\r\n" });
    await settle();
    connection.addIceCandidate = () => Promise.reject(new Error("no"));
    negotiation.handle("candidate", { candidate: "x", usernameFragment: "then" });
    await settle();
    expect(failures).toEqual([]);
    negotiation.handle("candidate", { candidate: "x", usernameFragment: "now" });
    await settle();
    expect(failures.map(({ code }) => code)).toEqual(["negotiation_failed"]);
  });
});

it("reports what the browser refuses, and goes on", async () => {
  const { connection, negotiation, sent, failures } = negotiate(true);
  const apply = connection.setRemoteDescription.bind(connection);
  connection.setRemoteDescription = () => Promise.reject(new Error("nonsense"));
  negotiation.handle("offer", theirs);
  await settle();
  connection.setRemoteDescription = apply;
  negotiation.handle("offer", theirs);
  await settle();
  expect(failures).toHaveLength(1);
  expect(sent.map(({ type }) => type)).toEqual(["answer"]);
});
