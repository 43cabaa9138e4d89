// Fails when the client library, as an application would download it, outgrows its budget.
import { readFileSync } from "node:fs";
import { URL } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "vite";

const BUDGET_BYTES = 25_000;

await build({ root: import.meta.dirname, logLevel: "error" });
const bundle = readFileSync(new URL("./dist/index.js", import.meta.url));
const size = gzipSync(bundle, { level: 9 }).length;

console.log(`@peerage/client: ${size} bytes gzipped, budget ${BUDGET_BYTES}`);
if (size > BUDGET_BYTES) process.exitCode = 1;
