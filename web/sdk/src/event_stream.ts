/** One event of a stream. */
export interface StreamEvent {
  readonly id: string;
  readonly name: string;
  readonly data: string;
}

/**
 * The events of a body of the type `text/event-stream`, as the HTML standard defines it. `onBytes`
 * is told whenever something has come, be it no event.
 *
 * The browser's own EventSource can send no `Authorization`, so it is not used.
 *
 * @internal
 */
export async function* events(
  body: ReadableStream<Uint8Array>,
  onBytes: () => void,
): AsyncGenerator<StreamEvent> {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    onBytes();
    const blocks = (rest + decoder.decode(value, { stream: true })).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const event = parse(block);
      if (event.data !== "") yield event;
    }
  }
}

function parse(block: string): StreamEvent {
  const fields = { id: "", event: "", data: "" };
  for (const line of block.split("\n")) {
    const [, name, value = ""] = /^(id|event|data): ?(.*)$/.exec(line) ?? [];
    if (name === "id" || name === "event") fields[name] = value;
    else if (name === "data") fields.data += fields.data === "" ? value : `\n${value}`;
  }
  return { id: fields.id, name: fields.event, data: fields.data };
}
