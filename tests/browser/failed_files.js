import { relative } from "node:path";

/** A reporter for `node --test`: the files that hold a test which failed, one a line. */
export default async function* failedFiles(events) {
  const told = new Set();
  for await (const { type, data } of events) {
    if (type !== "test:fail") continue;
    const file = relative(process.cwd(), data.file ?? data.name);
    if (told.has(file)) continue;
    told.add(file);
    yield `${file}\n`;
  }
}
