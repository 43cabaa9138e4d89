import { expect, it } from "vitest";
import { events, type StreamEvent } from "../src/event_stream.js";

async function read(pieces: Uint8Array[]) {
  let bytes = 0;
  const found: StreamEvent[] = [];
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece);
      controller.close();
    },
  });
  for await (const event of events(body, () => (bytes += 1))) found.push(event);
  return { found, bytes };
}

const TEXT =
  'retry: 1000\n\n:\n\nid: 7\ndata: {"name":"Zoë"}\n\nevent: closed\ndata: {}\n\ndata: a\ndata:b\n\n';
const EVENTS = [
  { id: "7", name: "", data: '{"name":"Zoë"}' },
  { id: "", name: "closed", data: "{}" },
  { id: "", name: "", data: "a\nb" },
];

it("finds the events wherever the stream is cut", async () => {
  const whole = new TextEncoder().encode(TEXT);
  for (let cut = 0; cut <= whole.length; cut += 1) {
    const { found } = await read([whole.slice(0, cut), whole.slice(cut)]);
    expect(found).toEqual(EVENTS);
  }
});

it("tells that something has come, be it no event", async () => {
  const { found, bytes } = await read([new TextEncoder().encode("retry: 1000\n\n")]);
  expect(found).toEqual([]);
  expect(bytes).toBe(1);
});

it("gives no event that is cut off", async () => {
  expect((await read([new TextEncoder().encode("data: half")])).found).toEqual([]);
});
