import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { expect, it } from "vitest";

const SDK = join(import.meta.dirname, "..");
const PAGES = ["docs/sdk.md", "web/sdk/README.md"];
/** What the packages that are handed in look like from here. */
const HANDED_IN = `
declare module "ws" {
  export const WebSocket: import("@peerage/client").WebSocketConstructor;
}
declare module "node-datachannel" {
  const all: { readonly PeerConnection: import("@peerage/client/node").NativeConstructor };
  export default all;
}
declare module "node-datachannel/polyfill" {
  export const RTCPeerConnection: import("@peerage/client/node").PolyfillConstructor;
}
`;

/** The examples of a page, by the names of files that they could be. */
function examples(page) {
  const text = readFileSync(join(SDK, "../..", page), "utf8");
  const found = [...text.matchAll(/^```ts\n(.*?)^```$/gms)];
  return found.map(([, code], place) => {
    return [join(SDK, `${page.replaceAll("/", "_")}_${place}.ts`), `${code}\nexport {};\n`];
  });
}

function compilerOptions() {
  const base = join(SDK, "../tsconfig.base.json");
  const { config } = ts.readConfigFile(base, ts.sys.readFile);
  const sources = {
    "@peerage/client": [join(SDK, "src/index.ts")],
    "@peerage/client/node": [join(SDK, "src/node.ts")],
  };
  const all = { ...config.compilerOptions, noUnusedLocals: false, paths: sources };
  return ts.convertCompilerOptionsFromJson(all, SDK).options;
}

/** What the compiler has to say about files that are not on the disk. */
function complaints(files) {
  const options = compilerOptions();
  const host = ts.createCompilerHost(options);
  const { readFile, fileExists, getSourceFile } = host;
  host.readFile = (name) => files.get(name) ?? readFile(name);
  host.fileExists = (name) => files.has(name) || fileExists(name);
  host.getSourceFile = (name, ...rest) =>
    files.has(name)
      ? ts.createSourceFile(name, files.get(name), ts.ScriptTarget.ES2022, true)
      : getSourceFile(name, ...rest);
  const program = ts.createProgram([...files.keys()], options, host);
  return ts.getPreEmitDiagnostics(program).map(({ file, messageText }) => ({
    file: file?.fileName,
    text: ts.flattenDiagnosticMessageText(messageText, "\n"),
  }));
}

it("the examples in the documents are correct, and a wrong one would be found", () => {
  const found = PAGES.flatMap((page) => examples(page));
  expect(found.length).toBeGreaterThanOrEqual(8);
  const wrong = join(SDK, "wrong.ts");
  const code = 'import { Client } from "@peerage/client";\nnew Client({ uri: "" });\n';
  const all = [...found, [wrong, code], [join(SDK, "handed_in.d.ts"), HANDED_IN]];
  const heard = complaints(new Map(all));
  expect(heard.filter(({ file }) => file !== wrong)).toEqual([]);
  expect(heard.map(({ text }) => text).join()).toContain("uri");
}, 120_000);
