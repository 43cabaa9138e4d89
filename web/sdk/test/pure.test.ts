import { describe, expect, it, vi } from "vitest";
import { Backoff } from "../src/backoff.js";
import { adviceOf, finalError, webSocketEnd } from "../src/close_codes.js";
import { Emitter } from "../src/emitter.js";
import { parseServerMessage } from "../src/messages.js";
import { Outbox } from "../src/outbox.js";
import { Pacer } from "../src/pacer.js";

describe("backoff", () => {
  it("doubles its bound up to the ceiling, and draws from zero to it", () => {
    const backoff = new Backoff({ base: 100, ceiling: 350 }, () => 1);
    expect([backoff.next(), backoff.next(), backoff.next(), backoff.next()]).toEqual([
      100, 200, 350, 350,
    ]);
    expect(new Backoff({ base: 100, ceiling: 350 }, () => 0).next()).toBe(0);
  });

  it("begins anew after a success, and adds to a prescribed pause", () => {
    const backoff = new Backoff({ base: 100, ceiling: 350 }, () => 0.5);
    backoff.next();
    backoff.reset();
    expect(backoff.next(10_000)).toBe(10_050);
  });
});

describe("emitter", () => {
  it("calls the listeners until they are taken off", () => {
    const emitter = new Emitter<{ said: string }>();
    const heard: string[] = [];
    const off = emitter.on("said", (word) => heard.push(word));
    emitter.once("said", (word) => heard.push(`once ${word}`));
    emitter.emit("said", "a");
    off();
    emitter.emit("said", "b");
    expect(heard).toEqual(["a", "once a"]);
  });

  it("calls the others when a listener throws, and reports what it threw", () => {
    const report = vi.spyOn(globalThis, "queueMicrotask").mockImplementation(() => undefined);
    const emitter = new Emitter<{ said: undefined }>();
    const other = vi.fn();
    emitter.on("said", () => {
      throw new Error("mine");
    });
    emitter.on("said", other);
    emitter.emit("said", undefined);
    expect(other).toHaveBeenCalledOnce();
    expect(report.mock.calls[0]?.[0]).toThrow("mine");
    report.mockRestore();
  });
});

describe("messages of the server", () => {
  it("refuses what is not of the prescribed form", () => {
    for (const text of ["", "[]", "null", '{"type":1}', '{"type":"offer","from":"x"}']) {
      expect(() => parseServerMessage(text), text).toThrow(SyntaxError);
    }
    expect(() => parseServerMessage('{"type":"pong","seq":"1"}')).toThrow(SyntaxError);
  });

  it("lets types of newer servers pass, with their numbers", () => {
    expect(parseServerMessage('{"type":"news","seq":3}')).toEqual({ seq: 3 });
    expect(parseServerMessage('{"type":"toString","seq":4}')).toEqual({ seq: 4 });
  });
});

describe("outbox", () => {
  const update = { type: "update", room: "r" } as const;
  const settle = { resolve: () => undefined, reject: () => undefined };

  it("keeps what waits for an answer until that has come", () => {
    const outbox = new Outbox(10);
    outbox.add(update);
    outbox.add(update, settle);
    outbox.applied(2);
    expect(outbox.size).toBe(1);
    expect(outbox.answered(2)?.settle).toBe(settle);
    expect(outbox.size).toBe(0);
  });

  it("sends again what may be lost, in order, with the same ids", () => {
    const outbox = new Outbox(10);
    for (let count = 0; count < 3; count += 1) outbox.add(update).sent = true;
    outbox.resend(1);
    expect(outbox.nextUnsent()?.id).toBe(2);
  });

  it("gives a dropped message, and those not yet sent, ids that were never used", () => {
    const outbox = new Outbox(10);
    outbox.add({ ...update, room: "dropped" }).sent = true;
    outbox.add({ ...update, room: "arrived" }).sent = true;
    outbox.add({ ...update, room: "waiting" });
    outbox.renumber(1);
    expect(
      outbox.clear().map(({ id, message }) => [id, "room" in message && message.room]),
    ).toEqual([
      [2, "arrived"],
      [4, "dropped"],
      [5, "waiting"],
    ]);
  });

  it("is bounded", () => {
    const outbox = new Outbox(1);
    outbox.add(update);
    expect(() => outbox.add(update)).toThrow(expect.objectContaining({ code: "outbox_full" }));
  });
});

describe("pacer", () => {
  it("lets a burst through and then the rate", () => {
    const pacer = new Pacer();
    pacer.configure(10, 2, true, 0);
    expect([pacer.take(0), pacer.take(0), pacer.take(0)]).toEqual([0, 0, 100]);
    expect(pacer.take(100)).toBe(0);
  });

  it("pauses for as long as it is told", () => {
    const pacer = new Pacer();
    pacer.configure(10, 5, true, 0);
    pacer.pause(1000, 0);
    expect(pacer.take(0)).toBe(1000);
    expect(pacer.take(1000)).toBe(0);
  });

  it("does not fill up because a session that goes on is welcomed again", () => {
    const pacer = new Pacer();
    pacer.configure(10, 2, true, 0);
    expect([pacer.take(0), pacer.take(0)]).toEqual([0, 0]);
    pacer.configure(10, 2, false, 50);
    expect(pacer.take(50)).toBe(50);
    pacer.configure(10, 2, true, 50);
    expect(pacer.take(50)).toBe(0);
  });
});

describe("ends of connections", () => {
  it("reads the advice in a close frame, whatever the code", () => {
    const text = '{"reason":"full","advice":"retry","after_ms":7100}';
    const end = { code: 1009, reason: "full", advice: "retry", afterMs: 7100 };
    expect(webSocketEnd(1009, text)).toEqual(end);
    expect(adviceOf(end)).toBe("retry");
    expect(adviceOf(webSocketEnd(4999, '{"reason":"shut","advice":"never"}'))).toBe("never");
  });

  it("goes by the code where something on the way has closed", () => {
    for (const code of [1001, 1005, 1006, 1011, 1012, 1013]) {
      expect(adviceOf(webSocketEnd(code, "restarting")), String(code)).toBe("retry");
    }
    for (const code of [1000, 1002, 1003, 1007, 1009]) {
      expect(adviceOf(webSocketEnd(code, "")), String(code)).toBe("never");
    }
  });

  it("tells the application why it does not come back", () => {
    const codeOf = (reason: string) => finalError({ code: 4400, reason }, "").code;
    expect(codeOf("replaced")).toBe("session_replaced");
    expect(codeOf("revoked")).toBe("revoked");
    expect(codeOf("broken_protocol")).toBe("connection_refused");
  });
});
