import { describe, expect, it, vi } from "vitest";
import { account, inRoom, start, withFakeTime } from "./in_room.js";

withFakeTime();

describe("looking after a room", () => {
  it("says what the host wants, and resolves once it is done", async () => {
    const { server, room } = await inRoom();
    const locking = room.lock();
    const id = server.last.of("set_room")[0]?.id ?? 0;
    const settings = { locked: true, limit: 64, duplicates: "allow" };
    const told: object[] = [];
    room.on("settings", (now) => told.push(now));
    server.last.say({ type: "room", seq: 2, re: id, room: "r", version: 2, settings });
    await locking;
    expect(room.settings).toEqual(settings);
    expect(told).toEqual([settings]);
    const removing = room.remove("a", { bar: true });
    expect(server.last.of("remove")[0]).toMatchObject({ session: "a", bar: true, room: "r" });
    server.last.say({ type: "done", seq: 3, re: id + 1, room: "r" });
    await removing;
    const giving = room.setRole("a", "host");
    server.last.say({ type: "error", re: id + 2, code: "not_permitted", message: "no" });
    await expect(giving).rejects.toMatchObject({ name: "ServerError", code: "not_permitted" });
  });

  it("says what becomes of second sessions, and is over when one takes its place", async () => {
    const { server, room } = await inRoom();
    const asking = room.setDuplicates("replace");
    const asked = server.last.of("set_room")[0];
    expect(asked).toMatchObject({ room: "r", duplicates: "replace" });
    expect(asked).not.toHaveProperty("locked");
    const settings = { locked: false, limit: 64, duplicates: "replace" };
    server.last.say({ type: "room", seq: 2, re: asked?.id, room: "r", version: 2, settings });
    await asking;
    expect(room.settings.duplicates).toBe("replace");
    const closed: unknown[] = [];
    room.on("closed", ({ error }) => closed.push(error?.code));
    server.last.say({ type: "removed", seq: 3, room: "r", reason: "replaced" });
    expect(closed).toEqual(["member_replaced"]);
  });

  it("knows who knocks, also after a snapshot", async () => {
    const { server, room } = await inRoom({ knocks: [{ session: "a", name: "Ada" }] });
    const told: string[] = [];
    room.on("knock", ({ session }) => told.push(`knock ${session}`));
    room.on("knockended", ({ knocker, state }) => told.push(`${state} ${knocker.session}`));
    expect([...room.knocks.values()]).toEqual([{ session: "a", name: "Ada" }]);
    const knock = (seq: number, session: string, state: string) => {
      server.last.say({ type: "knock", seq, room: "r", session, state });
    };
    knock(2, "b", "waiting");
    knock(3, "a", "admitted");
    server.last.end(1006);
    await vi.advanceTimersByTimeAsync(0);
    server.last.welcome({ resumed: "snapshot", applied: 1 });
    const rooms = [account({ knocks: [{ session: "c" }] })];
    server.last.say({ type: "snapshot", seq: 9, knocking: [], rooms });
    expect(told).toEqual(["knock b", "admitted a", "withdrawn b", "knock c"]);
    expect([...room.knocks.keys()]).toEqual(["c"]);
  });

  it("tells the role that one gets and loses", async () => {
    const { server, room } = await inRoom({ role: "member", permissions: ["speak"] });
    expect(room.permissions).toEqual(["speak"]);
    const roles: string[] = [];
    room.on("role", (role) => roles.push(role));
    const permissions = ["speak", "moderate"];
    server.last.say({ type: "role", seq: 2, room: "r", version: 3, role: "host", permissions });
    expect([room.role, room.permissions]).toEqual(["host", permissions]);
    expect(roles).toEqual(["host"]);
  });

  it("is over when one is put out, and when a snapshot does not have it", async () => {
    for (const say of [
      { type: "removed", seq: 2, room: "r", reason: "removed" },
      { type: "snapshot", seq: 2, knocking: [], rooms: [] },
    ]) {
      const { server, client, room } = await inRoom();
      const closed: unknown[] = [];
      room.on("closed", ({ error }) => closed.push(error?.code));
      if (say.type === "snapshot") {
        server.last.end(1006);
        await vi.advanceTimersByTimeAsync(0);
        server.last.welcome({ resumed: "snapshot", applied: 1 });
      }
      server.last.say(say);
      expect(closed).toEqual(["removed"]);
      expect(client.rooms.size).toBe(0);
      await expect(room.lock()).rejects.toMatchObject({ code: "closed" });
    }
  });
});

describe("knocking", () => {
  const knock = () => {
    const { server, client } = start();
    const told: object[] = [];
    client.on("knocking", (event) => told.push(event));
    const joining = client.join("r", { knock: true });
    expect(server.last.of("join")[0]).toMatchObject({ room: "r", knock: true });
    server.last.say({ type: "knocking", seq: 1, re: 1, room: "r", expires_in_ms: 300_000 });
    expect(told).toEqual([{ room: "r", expiresIn: 300_000 }]);
    return { server, client, joining };
  };

  it("waits until one is let in", async () => {
    const { server, joining } = knock();
    server.last.say({ type: "joined", seq: 2, re: 1, ...account() });
    expect((await joining).name).toBe("r");
  });

  it("fails with the reason when one is not", async () => {
    const { server, joining } = knock();
    server.last.say({ type: "error", seq: 2, re: 1, code: "knock_denied", message: "no" });
    await expect(joining).rejects.toMatchObject({ code: "knock_denied" });
  });

  it("goes on through a snapshot that says so, and fails with one that does not", async () => {
    for (const [knocking, expected] of [
      [["r"], "fulfilled"],
      [[], "rejected"],
    ] as const) {
      const { server, joining } = knock();
      server.last.end(1006);
      await vi.advanceTimersByTimeAsync(0);
      server.last.welcome({ resumed: "snapshot", applied: 1 });
      server.last.say({ type: "snapshot", seq: 7, knocking, rooms: [] });
      if (expected === "fulfilled") {
        server.last.say({ type: "joined", seq: 8, re: 1, ...account() });
      }
      const [{ status }] = await Promise.allSettled([joining]);
      expect(status).toBe(expected);
    }
  });
});

describe("state", () => {
  it("is what the server tells, and is set with its conditions", async () => {
    const { server, room } = await inRoom({
      state: [{ key: "topic", value: "birds", version: 4, by: "a" }],
    });
    expect(room.state.get("topic")).toBe("birds");
    const setting = room.state.set("topic", "bees", {
      ifVersion: room.state.version("topic"),
      expiresIn: 1000,
      whilePresent: true,
    });
    expect(server.last.of("set_state")[0]).toMatchObject({
      key: "topic",
      value: "bees",
      if_version: 4,
      expires_in_ms: 1000,
      while_present: true,
    });
    expect(room.state.get("topic")).toBe("birds");
    const keys: (readonly string[])[] = [];
    room.on("state", (change) => keys.push(change.keys));
    const entry = (value: unknown, version: number) => [{ key: "topic", value, version }];
    const say = (seq: number, fields: object) => {
      server.last.say({ type: "state", seq, room: "r", version: seq, ...fields });
    };
    say(2, { re: 2, entries: entry("bees", 5) });
    await setting;
    expect([...room.state]).toEqual([["topic", "bees"]]);
    say(3, { entries: entry(null, 6) });
    expect([room.state.size, room.state.version("topic")]).toEqual([0, 0]);
    expect(keys).toEqual([["topic"], ["topic"]]);
    const failing = room.state.delete("topic", { ifVersion: 9 });
    server.last.say({ type: "error", re: 3, code: "version_conflict", message: "no" });
    await expect(failing).rejects.toMatchObject({ code: "version_conflict" });
  });

  it("is told anew with a snapshot, and only what has changed", async () => {
    const entry = (key: string, version: number) => ({ key, value: 1, version });
    const { server, room } = await inRoom({ state: [entry("a", 1), entry("b", 2), entry("c", 3)] });
    const keys: string[] = [];
    room.on("state", (change) => keys.push(...change.keys));
    server.last.end(1006);
    await vi.advanceTimersByTimeAsync(0);
    server.last.welcome({ resumed: "snapshot", applied: 1 });
    const rooms = [account({ state: [entry("b", 2), entry("c", 7), entry("d", 8)] })];
    server.last.say({ type: "snapshot", seq: 9, knocking: [], rooms });
    expect(keys.sort()).toEqual(["a", "c", "d"]);
  });
});

describe("saying something to all", () => {
  it("resolves with whom it has reached, though answers were missed", async () => {
    const { server, room } = await inRoom();
    const saying = room.broadcast({ hand: true });
    expect(server.last.of("broadcast")[0]).toMatchObject({ room: "r", body: { hand: true } });
    server.last.end(1006);
    await vi.advanceTimersByTimeAsync(0);
    server.last.welcome({ resumed: "snapshot", applied: 2 });
    server.last.say({ type: "snapshot", seq: 9, knocking: [], rooms: [account()] });
    const undeliverable = [{ session: "a", reason: "expired" }];
    const receipt = { re: 2, room: "r", delivered: 1, undeliverable };
    server.last.say({ type: "broadcast_delivered", seq: 10, ...receipt });
    expect(await saying).toEqual({ delivered: 1, undeliverable });
  });

  it("is heard by the others, with who has said it", async () => {
    const member = { session: "a", state: "joined", role: "guest", polite: false, epoch: 1 };
    const { server, room } = await inRoom({ members: [member] });
    const heard: unknown[] = [];
    room.on("broadcast", ({ body, from, peer }) => heard.push([body, from, peer?.role]));
    server.last.say({ type: "broadcast", seq: 2, room: "r", from: "a", nr: 1, body: [1] });
    expect(heard).toEqual([[[1], "a", "guest"]]);
  });

  it("fails when the server has lost the session, which nobody can tell the fate of", async () => {
    const { server, room } = await inRoom();
    const saying = room.broadcast(1);
    server.last.end(1006);
    await vi.advanceTimersByTimeAsync(0);
    server.last.welcome({ session: "other", resumed: "none" });
    await expect(saying).rejects.toMatchObject({ code: "session_lost" });
  });
});
