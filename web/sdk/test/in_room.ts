import { afterEach, beforeEach, vi } from "vitest";
import { Client, type ClientOptions, type JoinOptions } from "../src/client.js";
import { FakePeerConnection } from "./fake_peer_connection.js";
import { FakeServer } from "./fake_transport.js";

/** Another member, as the server tells of it. */
export const member = (session: string, epoch: number, fields: object = {}) => ({
  session,
  name: session,
  state: "joined",
  role: "member",
  polite: false,
  epoch,
  ...fields,
});

/** A room, as the server tells of it. */
export const account = (fields: object = {}) => ({
  room: "r",
  role: "host",
  permissions: ["speak", "broadcast", "state", "moderate"],
  settings: { locked: false, limit: 64, duplicates: "allow" },
  members: [] as object[],
  knocks: [],
  state: [],
  ...fields,
});

/** A client that is connected, and the peer connections that it makes. */
export function start(options: Partial<ClientOptions> = {}, welcome: object = {}) {
  const server = new FakeServer();
  const connections: FakePeerConnection[] = [];
  const client = new Client({
    url: "wss://example.org/v1/ws",
    transport: server.open,
    backoff: { base: 0, ceiling: 0 },
    createPeerConnection: (configuration) => {
      const connection = new FakePeerConnection(configuration);
      connections.push(connection);
      return connection.asReal();
    },
    ...options,
  });
  server.last.welcome(welcome);
  return { server, client, connections };
}

/** One that is in the room. */
export async function inRoom(fields: object = {}, options: JoinOptions = {}) {
  return join(start(), fields, options);
}

export async function join<All extends ReturnType<typeof start>>(
  all: All,
  fields: object = {},
  options: JoinOptions = {},
) {
  const joining = all.client.join("r", options);
  const { id } = all.server.last.of("join")[0] ?? {};
  all.server.last.say({ type: "joined", seq: 1, re: id, ...account(fields) });
  return { ...all, room: await joining };
}

/** Timers of the tests of this file run when they are told to. */
export function withFakeTime(): void {
  beforeEach(() => {
    vi.useFakeTimers();
    vi.stubGlobal("MediaStream", EventTarget);
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });
}
