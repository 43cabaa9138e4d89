// Runs the suite, one file after the other. With SUITE_RETRIES=1 a file in which a test failed runs
// once more, and is named: browsers on a busy machine now and then miss what the test waits for.
// Without, as a developer runs it, what fails has failed.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ONE_AT_A_TIME = "--test-concurrency=1";
// A browser that hangs keeps Node.js from ending, so the runner is told to end all the same.
const ENDS = ["--test-timeout=600000", "--test-force-exit"];

/** Runs the files, or all there are; how it ended, and which files had a failure. */
function attempt(files) {
  const directory = mkdtempSync(join(tmpdir(), "peerage-suite-"));
  const failures = join(directory, "failures");
  const reporters = [
    ...["--test-reporter=spec", "--test-reporter-destination=stdout"],
    ...["--test-reporter=./failed_files.js", `--test-reporter-destination=${failures}`],
  ];
  const options = ["--test", ONE_AT_A_TIME, ...ENDS, ...reporters];
  const { status } = spawnSync(process.execPath, [...options, ...files], { stdio: "inherit" });
  const failed = readFileSync(failures, "utf8").split("\n").filter(Boolean);
  rmSync(directory, { recursive: true });
  return { status: status ?? 1, failed };
}

let { status, failed } = attempt(process.argv.slice(2));
for (let left = Number(process.env.SUITE_RETRIES ?? 0); left > 0 && failed.length > 0; left--) {
  console.log(`\nfailed, and once more: ${failed.join(" ")}\n`);
  ({ status, failed } = attempt(failed));
}
process.exitCode = status;
