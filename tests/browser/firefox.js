import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import puppeteer from "puppeteer-core";
import { observe } from "./in_page.js";
import { Person } from "./person.js";

const EXECUTABLE = process.env.FIREFOX ?? "/usr/bin/firefox-esr";
const PREFERENCES = {
  // A camera of one colour after the other, a microphone that hums, and nobody is asked.
  "media.navigator.streams.fake": true,
  "media.navigator.permission.disabled": true,
  // A relay on this machine's loopback is as good as any other.
  "media.peerconnection.ice.loopback": true,
};

/** Starts Firefox, which trusts the CA whose certificate is in that file. */
export async function startFirefox({ authority }) {
  if (!existsSync(EXECUTABLE)) {
    throw new Error(`${EXECUTABLE} is missing: install firefox-esr, or name it in FIREFOX`);
  }
  const folder = await mkdtemp(join(tmpdir(), "peerage-suite-"));
  const certutil = (...operands) =>
    promisify(execFile)("certutil", ["-d", `sql:${folder}`, ...operands]);
  await certutil("-N", "--empty-password");
  await certutil("-A", "-n", "the server's CA", "-t", "C,,", "-i", authority);
  const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath: EXECUTABLE,
    userDataDir: folder,
    extraPrefsFirefox: PREFERENCES,
  });
  const forget = () => void rm(folder, { recursive: true, force: true, maxRetries: 10 });
  browser.process().once("exit", forget);
  return browser;
}

/** Somebody before a tab of Firefox. */
export class FirefoxPerson extends Person {
  /** Opens a tab in a profile of its own, in the lobby of `room`. */
  static async open(browser, url, { name, room }) {
    const person = new FirefoxPerson();
    Object.assign(person, { name, room });
    person.context = await browser.createBrowserContext();
    person.page = await person.context.newPage();
    person.page.on("pageerror", (error) => person.faults.push(`uncaught: ${error.message}`));
    await person.page.evaluateOnNewDocument(observe);
    await person.page.goto(`${url}/#${room}`);
    return person;
  }

  async join({ relayOnly = false } = {}) {
    await this.page.locator("aria/Your name").fill(this.name);
    if (relayOnly) await this.#click("label", "Always use the relay");
    await this.#click("button", "Join");
    await this.page.waitForSelector("aria/People in the call");
  }

  async says(text) {
    await this.#openChat();
    await this.page.locator("aria/Message").fill(text);
    await this.#click("button", "Send");
  }

  async reads(text) {
    await this.#openChat();
    await this.page.waitForSelector(`::-p-xpath(//*[@role='log']//*[text()='${text}'])`);
  }

  async leaves() {
    await this.page.locator("aria/Hang up").click();
    await this.page.waitForSelector("::-p-xpath(//h1[text()='You left'])");
  }

  async #openChat() {
    if (await this.page.$("[role=log]")) return;
    await this.#click("button", "Chat");
    await this.page.waitForSelector("[role=log]");
  }

  async #click(kind, text) {
    const begins = `starts-with(normalize-space(.), '${text}') or starts-with(@aria-label, '${text}')`;
    await this.page.locator(`::-p-xpath(//${kind}[${begins}])`).click();
  }
}
