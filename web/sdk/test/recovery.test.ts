import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Recovery } from "../src/recovery.js";
import { FakePeerConnection } from "./fake_peer_connection.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function watched() {
  const connection = new FakePeerConnection();
  return { connection, recovery: new Recovery(connection.asReal()) };
}

it("leaves a short interruption alone", () => {
  const { connection } = watched();
  connection.becomeIce("disconnected");
  vi.advanceTimersByTime(1_999);
  connection.becomeIce("connected");
  vi.advanceTimersByTime(60_000);
  expect(connection.restarts).toBe(0);
});

it("restarts after two seconds of silence, and at once after a failure", () => {
  const { connection } = watched();
  connection.becomeIce("disconnected");
  vi.advanceTimersByTime(2_000);
  expect(connection.restarts).toBe(1);
  connection.becomeIce("failed");
  expect(connection.restarts).toBe(2);
});

it("repeats a restart that led to nothing, ever more seldom", () => {
  const { connection } = watched();
  connection.becomeIce("failed");
  vi.advanceTimersByTime(5_000);
  expect(connection.restarts).toBe(2);
  vi.advanceTimersByTime(9_999);
  expect(connection.restarts).toBe(2);
  vi.advanceTimersByTime(1);
  expect(connection.restarts).toBe(3);
});

it("does not pile offers up while one is unanswered", () => {
  const { connection } = watched();
  connection.becomeIce("failed");
  connection.signalingState = "have-local-offer";
  vi.advanceTimersByTime(60_000);
  expect(connection.restarts).toBe(1);
});

it("stops", () => {
  const { connection, recovery } = watched();
  connection.becomeIce("disconnected");
  recovery.stop();
  vi.advanceTimersByTime(60_000);
  expect(connection.restarts).toBe(0);
});
