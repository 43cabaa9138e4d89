import { afterEach, expect, it, vi } from "vitest";
import { requestTransport } from "../src/requests.js";

afterEach(() => void vi.unstubAllGlobals());

/** A server whose stream of events is the test's, and that answers no message before it is let. */
function server() {
  const posted: string[] = [];
  const answers: (() => void)[] = [];
  let stream: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => void (stream = controller),
  });
  const answer = async (url: string, request: RequestInit): Promise<Response> => {
    if (url.endsWith("connect")) {
      return Response.json({ connection: "key", cursor: 1, messages: [{ type: "welcome" }] });
    }
    if (url.endsWith("events")) return new Response(body);
    posted.push(request.body as string);
    await new Promise<void>((resolve) => void answers.push(resolve));
    return new Response(null, { status: 204 });
  };
  vi.stubGlobal("fetch", vi.fn(answer));
  return {
    posted,
    answerAll: () => answers.splice(0).forEach((answer) => answer()),
    say: (text: string) => stream?.enqueue(new TextEncoder().encode(text)),
  };
}

it("answers the question of a stream at once, and passes it on to nobody", async () => {
  const { posted, say, answerAll } = server();
  const heard: string[] = [];
  const ends: unknown[] = [];
  const transport = requestTransport("events")("ws://example/v1/ws", {
    onOpen: () => transport.send("hello"),
    onMessage: (text) => heard.push(text),
    onEnd: (end) => ends.push(end),
  });
  say("retry: 1000\n\nevent: ping\ndata: {}\n\n");
  await vi.waitFor(() => expect(posted).toEqual(["[]"]));
  // Also behind a message that is still on its way.
  transport.send('{"type":"ping"}');
  await vi.waitFor(() => expect(posted).toEqual(["[]", '{"type":"ping"}']));
  say('event: ping\ndata: {}\n\nevent: later\ndata: {}\n\nid: 2\ndata: {"type":"pong"}\n\n');
  await vi.waitFor(() => expect(heard).toEqual(['{"type":"welcome"}', '{"type":"pong"}']));
  expect(posted).toEqual(["[]", '{"type":"ping"}', "[]"]);
  answerAll();
  expect(ends).toEqual([]);
  transport.close();
});
