import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { eventually } from "./eventually.js";

const ROOT = join(import.meta.dirname, "../..");
const BINARY = process.env.SUITE_NATIVE_PEER ?? join(ROOT, "target/debug/examples/native-peer");

/** The peer that is no browser, as a process that tells what happens to it. */
export class NativePeer {
  events = [];
  #process;
  #complaints = "";

  static start(server, room, { relayOnly = false, key } = {}) {
    if (!existsSync(BINARY)) {
      throw new Error(`${BINARY} is missing: run cargo build --example native-peer first`);
    }
    const peer = new NativePeer();
    const flags = relayOnly ? ["--relay-only"] : [];
    if (key !== undefined) flags.push(`--key=${key}`);
    peer.#process = spawn(BINARY, [`ws://${server.http}/v1/ws`, room, ...flags]);
    peer.#process.stderr.on("data", (data) => (peer.#complaints += data));
    createInterface({ input: peer.#process.stdout }).on("line", (line) => {
      peer.events.push(JSON.parse(line));
    });
    return peer;
  }

  /** Waits for an event of that name that passes `fits`. */
  async tells(name, fits = () => true) {
    return eventually(`the native peer tells of "${name}"`, async () => {
      const found = this.events.findLast(({ event, ...fields }) => event === name && fits(fields));
      if (found) return found;
      throw new Error(`it told ${JSON.stringify(this.events.slice(-5))} ${this.#complaints}`);
    });
  }

  /** Ends its stdin, upon which it leaves; hands on its exit code. */
  async leaves() {
    const gone = once(this.#process, "exit");
    this.#process.stdin.end();
    const [code] = await gone;
    return code;
  }

  kill() {
    this.#process.kill("SIGKILL");
  }
}
