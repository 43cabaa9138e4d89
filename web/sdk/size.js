// Fails when the client library, as it becomes a part of an application, outgrows its budget.
import { gzipSync } from "node:zlib";
import { build } from "vite";

const BUDGET_BYTES = 25_000;

const [{ output }] = await build({
  root: import.meta.dirname,
  configFile: false,
  logLevel: "error",
  build: {
    target: "es2022",
    write: false,
    minify: true,
    lib: { entry: "src/index.ts", formats: ["es"], fileName: "index" },
  },
});
const size = output
  .filter(({ type }) => type === "chunk")
  .reduce((sum, { code }) => sum + gzipSync(code, { level: 9 }).length, 0);

console.log(`@peerage/client: ${size} bytes gzipped, budget ${BUDGET_BYTES}`);
if (size > BUDGET_BYTES) process.exitCode = 1;
