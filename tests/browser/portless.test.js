import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

const SPACE = `peerage-suite-${process.pid}`;

function run(...command) {
  const { status, stdout, stderr, error } = spawnSync(command[0], command.slice(1), {
    encoding: "utf8",
  });
  if (error) throw error;
  return { status, said: stdout + stderr };
}

/** A network of its own, with one address and nobody else in it. */
function lay() {
  for (const command of [
    ["ip", "netns", "add", SPACE],
    ["ip", "-n", SPACE, "link", "set", "lo", "up"],
    ["ip", "-n", SPACE, "link", "add", "here", "type", "veth", "peer", "name", "there"],
    ["ip", "-n", SPACE, "address", "add", "198.51.100.1/24", "dev", "here"],
    ["ip", "-n", SPACE, "link", "set", "here", "up"],
    ["ip", "-n", SPACE, "link", "set", "there", "up"],
    // Into a void: without a way out Chromium sees no network at all.
    ["ip", "-n", SPACE, "route", "add", "default", "via", "198.51.100.254"],
  ]) {
    const { status, said } = run(...command);
    assert.equal(status, 0, `${command.join(" ")}: ${said}`);
  }
}

test("behind a firewall, with one UDP port open", { timeout: 180_000 }, () => {
  lay();
  try {
    const file = join(import.meta.dirname, "portless", "one_port.js");
    // The runner marks its children, and a marked one would report to it and not to us.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const inside = ["ip", "netns", "exec", SPACE, process.execPath, "--test", file];
    const { status, stdout, stderr } = spawnSync(inside[0], inside.slice(1), {
      encoding: "utf8",
      env,
    });
    assert.equal(status, 0, stdout + stderr);
  } finally {
    run("ip", "netns", "delete", SPACE);
  }
});
