import type { Transport, TransportListener } from "../src/transport.js";

interface Sent {
  readonly type: string;
  readonly id?: number;
  readonly [field: string]: unknown;
}

/** One transport whose other end is the test. */
export class FakeTransport implements Transport {
  readonly sent: Sent[] = [];
  readonly url: string;
  readonly listener: TransportListener;
  closed = false;

  constructor(url: string, listener: TransportListener) {
    this.url = url;
    this.listener = listener;
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text) as Sent);
  }

  close(): void {
    this.closed = true;
  }

  say(message: object): void {
    this.listener.onMessage(JSON.stringify(message));
  }

  welcome(fields: object = {}): void {
    this.listener.onOpen();
    this.say({
      type: "welcome",
      session: "me",
      token: "t1",
      resumed: "none",
      resume_window_ms: 60_000,
      applied: 0,
      ice_servers: [],
      limits: {
        message_bytes: 65_536,
        messages_per_second: 50,
        burst: 200,
        room_members: 64,
        rooms: 8,
        data_bytes: 4_096,
      },
      ...fields,
    });
  }

  end(code: number, reason = "", advice?: string, afterMs?: number): void {
    this.listener.onEnd({ code, reason, advice, afterMs });
  }

  /** The server stops, and sends the client to another one. */
  sendAway(url: string, afterMs = 0): void {
    this.say({ type: "goaway", reason: "shutdown", reconnect_in_ms: afterMs, url });
    this.listener.onEnd({ code: 1001, reason: "going_away", advice: "elsewhere", afterMs, url });
  }

  of(type: string): Sent[] {
    return this.sent.filter((message) => message.type === type);
  }
}

/** All transports that were opened, the newest last. */
export class FakeServer {
  readonly transports: FakeTransport[] = [];

  readonly open = (url: string, listener: TransportListener): FakeTransport => {
    const transport = new FakeTransport(url, listener);
    this.transports.push(transport);
    return transport;
  };

  get last(): FakeTransport {
    const transport = this.transports.at(-1);
    if (!transport) throw new Error("nothing was opened");
    return transport;
  }
}
