import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { eventually } from "./eventually.js";

const ROOT = join(import.meta.dirname, "../..");
export const BINARY = process.env.SUITE_SERVER ?? join(ROOT, "target/debug/peerage");
const READY_WITHIN = 15_000;

/** The address by which this machine's programs reach each other other than by loopback. */
export function machineAddress() {
  const all = Object.values(networkInterfaces()).flat();
  const found = all.find(({ family, internal }) => family === "IPv4" && !internal);
  if (found) return found.address;
  throw new Error(
    "this machine has no IPv4 address other than loopback, and Chromium makes no candidates " +
      "for loopback: the browser suite needs a network interface",
  );
}

/** The real server, as a process. */
export class Server {
  #process;
  #stateDirectory;
  #flags;
  #command;
  #log = [];

  /**
   * Starts one on ports that are free. `turn` are the transports of STUN and TURN; none starts it
   * without. In the network namespace `space` the caller says where it listens. `configuration` is
   * the text of its file, and `before` the server that it is to take the place of.
   */
  static async start({
    turn = ["udp"],
    flags = [],
    space,
    listeners,
    configuration = "",
    before,
  } = {}) {
    const onFreePorts = () => ({
      http: "127.0.0.1:0",
      turnListeners: turn.map((transport) => `${transport}://${machineAddress()}:0`).join(),
    });
    const server = new Server();
    server.#stateDirectory = await mkdtemp(join(tmpdir(), "peerage-suite-"));
    server.#flags = [`--config=${server.configurationFile}`, ...flags];
    server.#command = space ? ["ip", "netns", "exec", space, BINARY] : [BINARY];
    try {
      await writeFile(server.configurationFile, configuration);
      if (before) {
        const keys = await readFile(before.stateFile("ticket-keys"));
        await writeFile(server.stateFile("ticket-keys"), keys, { mode: 0o600 });
      }
      await server.#run(listeners ?? onFreePorts());
    } catch (error) {
      await server.close();
      throw error;
    }
    return server;
  }

  get url() {
    return this.http ? `http://${this.http}` : `https://${this.https}`;
  }

  get port() {
    return Number(this.http.split(":").at(-1));
  }

  /** A file of the server's own. */
  stateFile(name) {
    return join(this.#stateDirectory, name);
  }

  /** What the server has said, for a test that has failed. */
  get log() {
    return this.#log.join("\n");
  }

  /** Where its configuration is. */
  get configurationFile() {
    return this.stateFile("peerage.toml");
  }

  /** Changes the configuration as an operator does, and waits until the server has taken it over. */
  async configure(configuration) {
    const before = this.#log.length;
    await writeFile(this.configurationFile, configuration);
    this.#process.kill("SIGHUP");
    await eventually("the server has read its configuration again", () => {
      const news = this.#log.slice(before);
      assert.ok(
        news.some((line) => line.includes("configuration reloaded, changed")),
        this.log,
      );
    });
  }

  /** The value of one metric. */
  async metric(name) {
    const answer = await fetch(`http://${this.metrics}/metrics`);
    const text = await answer.text();
    const line = text.split("\n").find((candidate) => candidate.startsWith(`${name} `));
    if (!line) throw new Error(`the server has no metric ${name}`);
    return Number(line.slice(name.length + 1));
  }

  /** Stops the process as an operator does, and hands on its exit code. */
  async terminate() {
    const gone = once(this.#process, "exit");
    this.#process.kill("SIGTERM");
    const [code] = await gone;
    return code;
  }

  /** Starts again after {@link terminate}: the same ports, the same state directory. */
  async startAgain() {
    await this.#run(this);
  }

  async close() {
    const { exitCode, signalCode, pid } = this.#process ?? {};
    if (pid !== undefined && exitCode === null && signalCode === null) {
      const gone = once(this.#process, "exit");
      this.#process.kill("SIGKILL");
      await gone;
    }
    await rm(this.#stateDirectory, { recursive: true, force: true });
  }

  async #run({ http = "", https = "", turnListeners }) {
    if (!existsSync(BINARY)) throw new Error(`${BINARY} is missing: run cargo build first`);
    const settings = [
      ["listen", http],
      ["tls-listen", https],
      ["metrics-listen", this.metrics ?? "127.0.0.1:0"],
      ["turn-listen", turnListeners],
      ["state-directory", this.#stateDirectory],
      ...(process.env.SUITE_WEB_ROOT ? [["web-root", process.env.SUITE_WEB_ROOT]] : []),
    ];
    const flags = settings.map(([name, value]) => `--${name}=${value}`);
    const [program, ...before] = this.#command;
    this.#process = spawn(program, [...before, "serve", ...flags, ...this.#flags], {
      cwd: ROOT,
      env: foreignEnvironment(),
      stdio: ["ignore", "ignore", "pipe"],
    });
    Object.assign(this, await this.#ready());
  }

  #ready() {
    return new Promise((resolve, reject) => {
      const fail = (why) => reject(new Error(`the server ${why}\n${this.log}`));
      const timer = setTimeout(() => fail("did not get ready"), READY_WITHIN);
      this.#process.once("error", (error) => fail(`did not start: ${error.message}`));
      this.#process.once("exit", (code) => fail(`ended with ${code} before it was ready`));
      createInterface({ input: this.#process.stderr }).on("line", (line) => {
        this.#log.push(line);
        const word = (name) => line.match(` ${name}=(\\S*)`)?.[1];
        if (!line.includes(" ready http=")) return;
        clearTimeout(timer);
        resolve({
          http: word("http"),
          https: word("https"),
          turn: word("turn"),
          metrics: word("metrics"),
          turnListeners: word("turn_listeners"),
        });
      });
    });
  }
}

/** The environment without variables that would configure the server. */
function foreignEnvironment() {
  const entries = Object.entries(process.env);
  return Object.fromEntries(entries.filter(([name]) => !name.startsWith("PEERAGE_")));
}
