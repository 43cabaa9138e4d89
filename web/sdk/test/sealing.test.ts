import { beforeAll, describe, expect, it, vi } from "vitest";
import { newRoomKey, Seal } from "../src/sealing.js";
import type { FakeServer } from "./fake_transport.js";
import { account, member, start } from "./in_room.js";

const KEY = "a key of the members only";

beforeAll(() => {
  // Node has none.
  vi.stubGlobal("MediaStream", EventTarget);
});

/** Waits for what the client says, since to seal it takes a moment. */
async function said(server: FakeServer, type: string, count = 1) {
  await vi.waitFor(() => expect(server.last.of(type)).toHaveLength(count));
  const message = server.last.of(type)[count - 1];
  if (!message) throw new Error("nothing was said");
  return message;
}

/** A client in a room with a key, with what the others seal with. */
async function inRoom(members: (seal: Seal) => Promise<object[]> = () => Promise.resolve([])) {
  const all = start();
  const seal = await Seal.of("heron", KEY);
  const joining = all.client.join("heron", { name: "Ada", data: [1], key: KEY });
  const { id, room: name } = await said(all.server, "join");
  const joined = { ...account({ room: name, members: await members(seal) }) };
  all.server.last.say({ type: "joined", seq: 1, re: id, ...joined });
  return { ...all, seal, name, room: await joining };
}

/** Somebody with the key. */
const grace = async (seal: Seal, session = "g") =>
  member(session, 7, {
    name: "what the server says",
    data: await seal.seal(["member", session], { name: "Grace" }),
  });

describe("a seal", () => {
  it("opens what was sealed with the same name and key for the same purpose, only", async () => {
    const seal = await Seal.of("heron", KEY);
    const sealed = await seal.seal(["offer", "a", "b"], { sdp: "v=0" });
    const open = async (name: string, key: string, about = ["offer", "a", "b"], text = sealed) =>
      (await Seal.of(name, key)).open(about, text);
    expect(await open("heron", KEY)).toEqual({ value: { sdp: "v=0" } });
    expect(await open("crane", KEY)).toBeUndefined();
    expect(await open("heron", `${KEY}.`)).toBeUndefined();
    expect(await open("heron", KEY, ["offer", "c", "b"])).toBeUndefined();
    const other = sealed.startsWith("A") ? "B" : "A";
    expect(await open("heron", KEY, undefined, other + sealed.slice(1))).toBeUndefined();
    expect(await open("heron", KEY, undefined, "not base64 !")).toBeUndefined();
    expect(await seal.open(["offer", "a", "b"], { sdp: "v=0" })).toBeUndefined();
    expect(sealed).not.toBe(await seal.seal(["offer", "a", "b"], { sdp: "v=0" }));
  });

  it("names a room that nobody finds without the key", async () => {
    const names = await Promise.all(
      [
        ["heron", KEY],
        ["heron", KEY],
        ["crane", KEY],
        ["heron", `${KEY}.`],
      ].map(async ([name = "", key = ""]) => (await Seal.of(name, key)).room),
    );
    expect(names[0]).toMatch(/^[A-Za-z0-9_-]{32}$/);
    expect(names[1]).toBe(names[0]);
    expect(new Set(names).size).toBe(3);
  });

  it("is of a key that nobody guesses, where there is cryptography", async () => {
    expect(newRoomKey()).toMatch(/^[A-Za-z0-9_-]{22}$/);
    expect(newRoomKey()).not.toBe(newRoomKey());
    await expect(Seal.of("heron", "short")).rejects.toMatchObject({ code: "invalid_key" });
    vi.stubGlobal("crypto", { getRandomValues: () => undefined });
    await expect(Seal.of("heron", KEY)).rejects.toMatchObject({ code: "insecure_context" });
    vi.unstubAllGlobals();
    vi.stubGlobal("MediaStream", EventTarget);
  });

  it("is as the protocol's page says, so that other clients can make it", async () => {
    const seal = await Seal.of("blue-heron", "wq3xR0b2Yk9uPz5sLd7TgA");
    expect(seal.room).toBe("7B-TUH-KqenYfqX7BHLWSf6ZRmqFCpN_");
    const opened = await seal.open(
      ["broadcast", "6f0c7c1e-5d0b-4c55-9a3e-1f6c2f6f3c11"],
      "AAECAwQFBgcICQoLCKlc-ChwNmEcLisEVHIQkcLnuKUP_1aGn-ubydMZHrnT",
    );
    expect(opened).toEqual({ value: { hand: "raised" } });
    const elsewhere = await Seal.of("café", "wq3xR0b2Yk9uPz5sLd7TgA");
    expect(elsewhere.room).toBe("iLqS4Udao27kRLU9-NcmRwP9gCChiMEQ");
  });
});

describe("a room with a key", () => {
  it("tells the server neither names nor data nor what is said", async () => {
    const { server, room, seal, name } = await inRoom(async (seal) => [await grace(seal)]);
    expect([room.name, room.serverName]).toEqual(["heron", name]);
    const offer = await seal.seal(["offer", "g", "me"], { type: "offer", sdp: "of Grace" });
    const message = { type: "offer", seq: 2, nr: 1, room: name, from: "g", epoch: 7, body: offer };
    server.last.say(message);
    const { body: answer } = await said(server, "answer");
    const { value } = (await seal.open(["answer", "me", "g"], answer)) ?? {};
    expect(value).toMatchObject({ type: "answer" });
    void room.update({ name: "Ada L." });
    void room.lock();
    void room.setDuplicates("reject");
    void room.broadcast("secret word");
    void room.state.set("topic", "secret word");
    const update = await said(server, "update");
    const self = { name: "Ada L.", data: [1] };
    expect(await seal.open(["member", "me"], update["data"])).toEqual({ value: self });
    const { value: topic } = await said(server, "set_state");
    expect(await seal.open(["state", "topic"], topic)).toEqual({ value: "secret word" });
    await said(server, "broadcast");
    const everything = JSON.stringify(server.transports.map(({ sent }) => sent));
    for (const secret of ["Ada", "heron", KEY, "secret word", "sdp"]) {
      expect(everything).not.toContain(secret);
    }
  });

  it("knows those who have the key, by what they have sealed", async () => {
    const { server, room, seal, name } = await inRoom(async (seal) => [
      await grace(seal),
      member("m", 8),
      { ...(await grace(seal)), session: "s", epoch: 9 },
    ]);
    expect([...room.peers.values()].map((peer) => peer.name)).toEqual(["Grace"]);
    const seen: unknown[] = [];
    room.on("peerjoined", (peer) => seen.push(peer.name));
    room.on("peerleft", ({ peer }) => seen.push(`${peer.name} left`));
    room.on("broadcast", ({ body }) => seen.push(body));
    room.on("knock", (knocker) => seen.push(knocker));
    room.on("state", ({ keys }) => seen.push([keys, room.state.get("topic")]));
    const tell = (seq: number, fields: object) => server.last.say({ seq, room: name, ...fields });
    const news = { type: "broadcast", from: "g", nr: 1 };
    const word = await seal.seal(["broadcast", "g"], "word");
    const topic = await seal.seal(["state", "topic"], "birds");
    const data = await seal.seal(["member", "k"], { name: "Kay" });
    tell(2, { type: "presence", member: await grace(seal, "h") });
    tell(3, { ...news, body: word });
    tell(4, { ...news, from: "h", body: word });
    tell(5, { ...news, nr: 2, body: "plain" });
    tell(6, { type: "state", entries: [{ key: "topic", value: topic, version: 3 }] });
    tell(7, { type: "knock", session: "k", name: "Kay?", data, state: "waiting" });
    tell(8, { type: "presence", member: member("g", 7, { state: "left", reason: "left" }) });
    await vi.waitFor(() => expect(seen.at(-1)).toBe("Grace left"));
    const knocker = { session: "k", name: "Kay" };
    expect(seen).toEqual(["Grace", "word", [["topic"], "birds"], knocker, "Grace left"]);
  });

  it("takes no description that another than the peer has made", async () => {
    const { server, connections, seal, name } = await inRoom(async (seal) => [await grace(seal)]);
    const offer = { type: "offer", sdp: "of Grace" };
    const tell = (seq: number, body: unknown) => {
      server.last.say({ type: "offer", seq, nr: seq, room: name, from: "g", epoch: 7, body });
    };
    const heard: unknown[] = [];
    tell(2, { ...offer, sdp: "of the server" });
    tell(3, await seal.seal(["offer", "g", "somebody else"], { ...offer, sdp: "for another" }));
    tell(4, await seal.seal(["offer", "h", "me"], { ...offer, sdp: "of another" }));
    tell(5, await seal.seal(["offer", "g", "me"], offer));
    const connection = connections[0];
    const apply = connection?.setRemoteDescription.bind(connection);
    if (connection && apply) {
      connection.setRemoteDescription = (description) => {
        heard.push(description.sdp);
        return apply(description);
      };
    }
    await said(server, "answer");
    expect(heard).toEqual(["of Grace"]);
  });

  it("is joined again by another session under its own seal", async () => {
    const { server, seal } = await inRoom();
    server.last.end(1006);
    await vi.waitFor(() => expect(server.transports).toHaveLength(2));
    server.last.welcome({ session: "other" });
    const { data } = await said(server, "join");
    const value = { name: "Ada", data: [1] };
    expect(await seal.open(["member", "other"], data)).toEqual({ value });
  });

  it("waits for the session whose seal it needs", async () => {
    const { server, client } = start();
    server.last.end(1006);
    const joining = client.join("heron", { key: KEY });
    client.close();
    await expect(joining).rejects.toMatchObject({ code: "closed" });
  });
});
