import type { Peer } from "@peerage/client";
import { describe, expect, it, vi } from "vitest";
import { arrange, cornerTile, cropsTooMuch } from "../src/call/layout.js";
import { bitrate, pathDetails } from "../src/call/path_details.js";
import { chatText, LONGEST_TEXT } from "../src/state/chat.js";
import { deviceProblem, problemInWords } from "../src/state/device_problem.js";
import { LevelMeter, loudness } from "../src/state/level.js";
import { IN_PASSING, Notices } from "../src/state/notices.js";
import { mediaState, Participant } from "../src/state/participant.js";
import {
  invitation,
  nameAndKey,
  newRoom,
  roomFromHash,
  withoutToken,
} from "../src/state/room_name.js";

describe("room names", () => {
  it.each([
    [true, /^[a-z]+-[a-z]+:[A-Za-z0-9_-]{22}$/],
    [false, /^[a-z]+-[a-z]+-[0-9a-hjkmnp-tv-z]{12}$/],
  ])("are two words and a secret, and never the same (secure: %s)", (isSecure, form) => {
    const names = new Set(Array.from({ length: 50 }, () => newRoom(isSecure)));
    expect(names.size).toBe(50);
    for (const name of names) {
      expect(name).toMatch(form);
      expect(roomFromHash(`#${name}`)).toBe(name);
    }
  });

  it("are told from access tokens", () => {
    expect(withoutToken("#blue-heron")).toEqual({ rest: "#blue-heron" });
    expect(withoutToken("#blue-heron&token=ey.J.9")).toEqual({
      rest: "#blue-heron",
      token: "ey.J.9",
    });
  });

  it("are told from keys", () => {
    expect(nameAndKey("blue-heron")).toEqual({ name: "blue-heron" });
    const key = "0123456789abcdef";
    expect(nameAndKey(`blue-heron:${key}`)).toEqual({ name: "blue-heron", key });
    expect(roomFromHash("#blue-heron:short")).toBeUndefined();
    expect(roomFromHash(`#blue-heron:${key}:${key}`)).toBeUndefined();
  });

  it("are found in links, and only where they can be rooms", () => {
    expect(roomFromHash("#blue-heron")).toBe("blue-heron");
    expect(roomFromHash("")).toBeUndefined();
    expect(roomFromHash("#a/b")).toBeUndefined();
    expect(invitation(" https://call.example.org/#blue-heron ")).toEqual({ room: "blue-heron" });
    expect(invitation("blue-heron")).toEqual({ room: "blue-heron" });
    expect(invitation("https://call.example.org/")).toBeUndefined();
    expect(invitation("x".repeat(129))).toBeUndefined();
    expect(invitation("https://call.example.org/#blue-heron&token=ey.J.9")).toEqual({
      room: "blue-heron",
      token: "ey.J.9",
    });
  });
});

describe("the arrangement of tiles", () => {
  it.each([
    [1, 1280, 700, 1],
    [2, 1280, 700, 2],
    [2, 390, 700, 1],
    [3, 390, 700, 1],
    [4, 1280, 700, 2],
    [6, 1280, 700, 3],
    [6, 390, 700, 2],
  ])("of %i in %i by %i has %i columns", (count, width, height, columns) => {
    expect(arrange(count, width, height, 12).columns).toBe(columns);
  });

  it("fits, whatever there is room for", () => {
    for (let count = 1; count <= 12; count += 1) {
      const { columns, width, height } = arrange(count, 800, 500, 12);
      const rows = Math.ceil(count / columns);
      expect(width * columns + 12 * (columns - 1)).toBeLessThanOrEqual(800);
      expect(height * rows + 12 * (rows - 1)).toBeLessThanOrEqual(500);
    }
    expect(arrange(3, 0, 0, 12)).toMatchObject({ width: 0, height: 0 });
  });
});

describe("the shape of tiles", () => {
  it("is that of pictures", () => {
    for (const [width, height] of [
      [1256, 716],
      [374, 770],
      [904, 716],
    ] as const) {
      for (let count = 1; count <= 9; count += 1) {
        const tile = arrange(count, width, height, 12);
        expect(tile.width / tile.height).toBeGreaterThan(1.32);
        expect(tile.width / tile.height).toBeLessThan(1.8);
      }
    }
  });

  it("is in the corner that of one's own picture, and small", () => {
    expect(cornerTile({ width: 1256, height: 716 })).toEqual({ width: 276, height: 155 });
    expect(cornerTile({ width: 1256, height: 716 }, 9 / 16)).toEqual({ width: 121, height: 215 });
    expect(cornerTile({ width: 374, height: 770 }, 9 / 16)).toEqual({ width: 112, height: 199 });
    expect(cornerTile({ width: 0, height: 0 })).toEqual({ width: 0, height: 0 });
  });

  it("lets a picture fill it only if most of the picture is seen", () => {
    expect(cropsTooMuch(16 / 9, { width: 1256, height: 716 })).toBe(false);
    expect(cropsTooMuch(16 / 9, { width: 400, height: 300 })).toBe(false);
    expect(cropsTooMuch(16 / 9, { width: 374, height: 770 })).toBe(true);
    expect(cropsTooMuch(9 / 16, { width: 1256, height: 716 })).toBe(true);
    expect(cropsTooMuch(undefined, { width: 374, height: 770 })).toBe(false);
    expect(cropsTooMuch(16 / 9, { width: 0, height: 0 })).toBe(false);
  });
});

describe("chat", () => {
  it("takes its own messages only, and no more than a screenful", () => {
    vi.spyOn(console, "info").mockImplementation(() => undefined);
    expect(chatText('{"type":"chat","text":"hi"}')).toBe("hi");
    for (const other of ["hi", "{", '{"type":"file"}', '{"type":"chat","text":1}']) {
      expect(chatText(other)).toBeUndefined();
    }
    expect(chatText(new ArrayBuffer(1))).toBeUndefined();
    const long = JSON.stringify({ type: "chat", text: "x".repeat(9_999) });
    expect(chatText(long)).toHaveLength(LONGEST_TEXT);
  });
});

describe("device problems", () => {
  it("are told apart, each in words of its own", () => {
    const named = (name: string) => deviceProblem(new DOMException("", name));
    expect(named("NotAllowedError")).toBe("refused");
    expect(named("NotFoundError")).toBe("missing");
    expect(named("NotReadableError")).toBe("busy");
    expect(named("TypeError")).toBe("unknown");
    const problems = ["insecure", "refused", "missing", "busy", "unknown"] as const;
    const words = new Set(problems.map((problem) => problemInWords(problem, ["camera"])));
    expect(words.size).toBe(problems.length);
  });
});

describe("path details", () => {
  it("are in a person's units", () => {
    expect(bitrate(950)).toBe("1 kbit/s");
    expect(bitrate(1_250_000)).toBe("1.3 Mbit/s");
    expect(
      pathDetails({
        kind: "relayed",
        protocol: "udp",
        relay: "own",
        relayProtocol: "tls",
        roundTripMs: 24.6,
        sendBitrate: 64_000,
        receiveBitrate: undefined,
      }),
    ).toEqual([
      { term: "Protocol", value: "UDP" },
      { term: "Relay", value: "on your side, over TLS" },
      { term: "Round trip", value: "25 ms" },
      { term: "Sending", value: "64 kbit/s" },
    ]);
  });
});

it("reads what members say of their media, and trusts nothing", () => {
  expect(mediaState({ audio: true, video: 1 })).toEqual({
    audio: true,
    video: false,
    screen: false,
  });
  for (const nothing of [undefined, null, "x", [true]]) {
    expect(mediaState(nothing)).toEqual({ audio: false, video: false, screen: false });
  }
});

it("measures silence as nothing and a loud tone as much", () => {
  expect(loudness(new Float32Array(512))).toBe(0);
  const tone = Float32Array.from({ length: 512 }, (_, index) => Math.sin(index / 4));
  expect(loudness(tone)).toBeGreaterThan(0.9);
});

it("tells that nothing is measured while the browser keeps audio asleep", async () => {
  const node = () => ({ connect: vi.fn(), disconnect: vi.fn() });
  class FakeContext extends EventTarget {
    state = "suspended";
    createAnalyser = () => ({ ...node(), getFloatTimeDomainData: vi.fn() });
    createMediaStreamSource = node;
    resume = () => {
      this.state = "running";
      this.dispatchEvent(new Event("statechange"));
      return Promise.resolve();
    };
  }
  vi.stubGlobal("AudioContext", FakeContext);
  vi.stubGlobal("MediaStream", Object);
  const meter = new LevelMeter();
  expect(meter.asleep.value).toBe(false);
  meter.listen({} as MediaStreamTrack);
  expect(meter.asleep.value).toBe(true);
  await meter.wake();
  expect(meter.asleep.value).toBe(false);
  meter.listen(null);
  vi.unstubAllGlobals();
});

it("keeps sound and picture of somebody apart, and does not disturb what plays", () => {
  class FakeStream {
    readonly getTracks: () => readonly object[];
    constructor(tracks: readonly object[]) {
      this.getTracks = () => tracks;
    }
  }
  vi.stubGlobal("MediaStream", FakeStream);
  const listeners: Record<string, () => void> = {};
  const audio = { kind: "audio", track: { id: "a" } };
  const video = { kind: "video", track: { id: "v" } };
  const peer = {
    session: "s",
    tracks: [audio],
    on: (event: string, listener: () => void) => (listeners[event] = listener),
  };
  const participant = new Participant(peer as unknown as Peer);
  const sound = participant.sound.value;
  expect(sound?.getTracks()).toEqual([audio.track]);
  expect(participant.picture.value).toBeUndefined();
  peer.tracks = [audio, video];
  listeners["track"]?.();
  expect(participant.sound.value).toBe(sound);
  expect(participant.picture.value?.getTracks()).toEqual([video.track]);
  peer.tracks = [video];
  listeners["trackremoved"]?.();
  expect(participant.sound.value).toBeUndefined();
  vi.unstubAllGlobals();
});

it("takes notices away, those in passing sooner", () => {
  vi.useFakeTimers();
  const notices = new Notices();
  notices.say("to be read");
  notices.say("Ada joined", IN_PASSING);
  vi.advanceTimersByTime(IN_PASSING);
  expect(notices.all.value.map(({ text }) => text)).toEqual(["to be read"]);
  vi.advanceTimersByTime(IN_PASSING);
  expect(notices.all.value).toEqual([]);
  vi.useRealTimers();
});
