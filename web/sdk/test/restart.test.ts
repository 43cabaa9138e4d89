import { describe, expect, it, vi } from "vitest";
import type { FakeServer } from "./fake_transport.js";
import { account, inRoom as joined, member, withFakeTime } from "./in_room.js";

/** A client in a room with others, and what it tells of them. */
async function inRoom(members: object[]) {
  const { server, client, connections, room } = await joined({ members });
  const seen: string[] = [];
  room.on("peerjoined", (peer) => seen.push(`joined ${peer.session}`));
  room.on("peerupdated", (peer) => seen.push(`updated ${peer.session}`));
  room.on("peerleft", ({ peer, reason }) => seen.push(`left ${peer.session} ${reason}`));
  room.on("rejoined", () => seen.push("rejoined"));
  return { server, client, room, connections, seen };
}

/** The server dies and another one takes the session back; the room is joined with these. */
async function restart(server: FakeServer, members: object[], fields: object = {}) {
  server.last.end(1006);
  await vi.advanceTimersByTimeAsync(0);
  server.last.welcome({ resumed: "restored", ...fields });
  const join = server.last.of("join")[0];
  server.last.say({ type: "joined", seq: 1, re: join?.id, ...account({ members }) });
  await vi.advanceTimersByTimeAsync(0);
  return join;
}

const offer = (seq: number, nr: number, epoch: number, fields: object = {}) => ({
  type: "offer",
  seq,
  nr,
  room: "r",
  from: "a",
  epoch,
  body: { type: "offer", sdp: `offer ${nr}` },
  ...fields,
});

withFakeTime();

describe("a restart of the server", () => {
  it("keeps the connection to a peer that comes back, whoever is back first", async () => {
    for (const first of [true, false]) {
      const { server, room, connections, seen } = await inRoom([member("a", 7)]);
      const back = member("a", 1_007, { continues: 7 });
      const join = await restart(server, first ? [] : [back]);
      expect(join?.["meetings"]).toEqual([{ session: "a", epoch: 7, polite: false }]);
      if (first) server.last.say({ type: "presence", seq: 2, room: "r", member: back });
      expect(seen).toEqual(["updated a"]);
      expect(connections.map(({ connectionState }) => connectionState)).toEqual(["new"]);
      expect(room.peers.get("a")?.epoch).toBe(1_007);
    }
  });

  it("says again what was not delivered, with its old number under the new epoch", async () => {
    const { server } = await inRoom([member("a", 7)]);
    server.last.say(offer(2, 1, 7));
    await vi.advanceTimersByTimeAsync(0);
    const answer = server.last.of("answer")[0];
    expect(answer).toMatchObject({ nr: 1, epoch: 7 });
    await restart(server, []);
    expect(server.last.of("answer")).toEqual([]);
    const back = member("a", 1_007, { continues: 7 });
    server.last.say({ type: "presence", seq: 2, room: "r", member: back });
    const [again] = server.last.of("answer");
    expect(again).toMatchObject({ nr: 1, epoch: 1_007, body: answer?.["body"] });
    expect(again?.id).toBeGreaterThan(answer?.id ?? 0);
    server.last.say({ type: "delivered", seq: 3, to: "a", through: again?.id });
    await restart(server, [member("a", 2_007, { continues: 1_007 })]);
    expect(server.last.of("answer")).toEqual([]);
  });

  it("hears what is said again once", async () => {
    const { server, connections } = await inRoom([member("a", 7)]);
    server.last.say(offer(2, 1, 7));
    await vi.advanceTimersByTimeAsync(0);
    await restart(server, [member("a", 1_007, { continues: 7 })]);
    const answers = server.last.of("answer").length;
    server.last.say(offer(2, 1, 1_007));
    await vi.advanceTimersByTimeAsync(0);
    expect(server.last.of("answer")).toHaveLength(answers);
    server.last.say(offer(3, 2, 1_007));
    await vi.advanceTimersByTimeAsync(0);
    expect(server.last.of("answer")).toHaveLength(answers + 1);
    expect(connections[0]?.remoteDescription?.sdp).toBe("offer 2");
  });

  it("connects anew to a peer that has thrown its connection away", async () => {
    const { server, connections, seen } = await inRoom([member("a", 7)]);
    await restart(server, [member("a", 1_007)]);
    expect(seen).toEqual(["left a replaced", "joined a"]);
    expect(connections.map(({ connectionState }) => connectionState)).toEqual(["closed", "new"]);
  });

  it("waits for a peer as long as it may come back, and longer while it is away itself", async () => {
    const { server, seen, connections } = await inRoom([member("a", 7)]);
    await restart(server, []);
    await vi.advanceTimersByTimeAsync(9_000);
    server.last.end(1006);
    await vi.advanceTimersByTimeAsync(0);
    server.last.welcome({ resumed: "snapshot" });
    const rooms = [{ room: "r", version: 9, members: [] }];
    server.last.say({ type: "snapshot", seq: 5, rooms });
    expect(seen).toEqual([]);
    for (let waited = 0; waited < 94_000; waited += 2_000) {
      server.last.say({ type: "pong" });
      await vi.advanceTimersByTimeAsync(2_000);
    }
    expect(seen).toEqual([]);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(seen).toEqual(["left a expired"]);
    expect(connections[0]?.connectionState).toBe("closed");
  });

  it("waits for nobody when the server takes no session back", async () => {
    const { server, seen } = await inRoom([member("a", 7)]);
    const join = await restart(server, [], { resumed: "none", session: "other" });
    expect(join).not.toHaveProperty("meetings");
    expect(seen).toEqual(["left a replaced", "rejoined"]);
  });
});

describe("a broadcast whose receipt a restart has swallowed", () => {
  const back = (session: string, epoch: number) =>
    member(session, epoch + 1_000, { continues: epoch });

  it("is said again once all are back, with its old number", async () => {
    const { server, room } = await inRoom([member("a", 7), member("b", 8)]);
    const saying = room.broadcast({ hand: true });
    const first = server.last.of("broadcast")[0];
    await restart(server, [back("a", 7)]);
    expect(server.last.of("broadcast")).toEqual([]);
    server.last.say({ type: "presence", seq: 2, room: "r", member: back("b", 8) });
    const [again] = server.last.of("broadcast");
    expect(again).toMatchObject({ nr: first?.id, body: { hand: true } });
    expect(again?.id).toBeGreaterThan(first?.id ?? 0);
    const receipt = { re: again?.id, room: "r", delivered: 2, undeliverable: [] };
    server.last.say({ type: "broadcast_delivered", seq: 3, ...receipt });
    expect(await saying).toEqual({ delivered: 2, undeliverable: [] });
    expect(server.last.of("broadcast")).toHaveLength(1);
  });

  it("does not keep those waiting who are back, nor itself for those who never are", async () => {
    const { server, room } = await inRoom([member("a", 7), member("b", 8)]);
    const saying = room.broadcast(1);
    await restart(server, [back("a", 7)]);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(server.last.of("broadcast")).toHaveLength(1);
    for (let waited = 0; waited < 96_000; waited += 2_000) {
      server.last.say({ type: "pong" });
      await vi.advanceTimersByTimeAsync(2_000);
    }
    const said = server.last.of("broadcast");
    expect(said.map(({ nr }) => nr)).toEqual([said[0]?.["nr"], said[0]?.["nr"]]);
    const receipt = { re: said[1]?.id, room: "r", delivered: 1, undeliverable: [] };
    server.last.say({ type: "broadcast_delivered", seq: 2, ...receipt });
    const undeliverable = [{ session: "b", reason: "expired" }];
    expect(await saying).toEqual({ delivered: 1, undeliverable });
  });

  it("survives a second restart, and ends with the room", async () => {
    const { server, room } = await inRoom([member("a", 7)]);
    const saying = room.broadcast(1);
    const nr = server.last.of("broadcast")[0]?.id;
    await restart(server, [back("a", 7)]);
    await restart(server, [back("a", 1_007)]);
    expect(server.last.of("broadcast")).toMatchObject([{ nr }]);
    await restart(server, []);
    server.last.say({ type: "removed", seq: 2, room: "r", reason: "removed" });
    await expect(saying).rejects.toMatchObject({ code: "removed" });
  });

  it("is not said again by another session, since nobody could know it", async () => {
    const { server, room } = await inRoom([member("a", 7)]);
    const saying = room.broadcast(1);
    const failing = expect(saying).rejects.toMatchObject({ code: "session_lost" });
    await restart(server, []);
    await restart(server, [], { resumed: "none", session: "other" });
    await failing;
    expect(server.last.of("broadcast")).toEqual([]);
  });

  it("is heard once by who has had it", async () => {
    const { server, room } = await inRoom([member("a", 7)]);
    const heard: unknown[] = [];
    room.on("broadcast", ({ body }) => heard.push(body));
    const say = (seq: number, nr: number) => {
      server.last.say({ type: "broadcast", seq, room: "r", from: "a", nr, body: nr });
    };
    say(2, 4);
    await restart(server, [back("a", 7)]);
    // Behind a newer one, as where this side was the last to come back.
    say(2, 6);
    say(3, 4);
    say(4, 5);
    expect(heard).toEqual([4, 6, 5]);
  });
});
