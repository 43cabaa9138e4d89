import assert from "node:assert/strict";
import { eventually, grows } from "./eventually.js";
import { observe, readStatistics, samplePicture } from "./in_page.js";

const FRAMES = 15;
/** By how much the light of how many parts of a picture changes when somebody moves. */
const CHANGE = 30;
const CHANGED_PARTS = 8;

/** What a page may write to its console while the server cannot be reached. */
export const WITHOUT_SERVER = [
  /WebSocket connection to .* failed/,
  /WebSocket is closed before the connection is established/,
  /Failed to load resource: net::ERR_/,
];
/** What the page writes when a device does not start. */
export const WITHOUT_DEVICE = [/did not start/];

/** Somebody before a browser tab. */
export class Person {
  /** What went wrong in the tab: words of the console, violations, requests to elsewhere. */
  faults = [];
  #origin;
  #expected;

  /** Opens a tab; people share nothing unless `context` puts them into one browser profile. */
  static async open(browser, url, { name, room, context, expected = [], ...options } = {}) {
    const person = new Person();
    person.name = name;
    person.room = room;
    person.context = context ?? (await browser.newContext(options));
    person.page = await person.context.newPage();
    person.#origin = new URL(url).origin;
    person.#expected = expected;
    await person.page.addInitScript(observe);
    person.#watch();
    await person.page.goto(room === undefined ? url : `${url}/#${room}`);
    return person;
  }

  async join({ relayOnly = false } = {}) {
    await this.page.getByLabel("Your name").fill(this.name);
    await this.page.getByLabel("Always use the relay").setChecked(relayOnly);
    await this.page.getByRole("button", { name: "Join", exact: true }).click();
    await this.isInCall();
  }

  async isInCall() {
    await this.people.waitFor();
  }

  get people() {
    return this.page.getByRole("list", { name: "People in the call" });
  }

  tile(name) {
    return this.people.getByRole("listitem", { name, exact: true });
  }

  button(name) {
    return this.page.getByRole("button", { name, exact: true });
  }

  /** How the path to somebody is called. */
  badge(name) {
    return this.tile(name).getByRole("button", { name: `Path to ${name}` });
  }

  /** Waits until somebody's tile is there, or gone. */
  async sees(name) {
    await this.tile(name).waitFor();
  }

  async seesNoMore(name) {
    await this.tile(name).waitFor({ state: "detached" });
  }

  async says(text) {
    await this.openChat();
    await this.page.getByLabel("Message", { exact: true }).fill(text);
    await this.button("Send").click();
  }

  async openChat() {
    if (await this.messages.isVisible()) return;
    await this.page.getByRole("button", { name: /^Chat/ }).click();
    await this.messages.waitFor();
  }

  get messages() {
    return this.page.getByRole("log", { name: "Messages" });
  }

  async reads(text) {
    await this.openChat();
    await this.messages.getByText(text, { exact: true }).waitFor();
  }

  async leaves() {
    await this.button("Hang up").click();
    await this.page.getByRole("heading", { name: "You left" }).waitFor();
  }

  /** Closes the tab as people do, with all that the page does on its way out. */
  async closesTab() {
    const closed = this.page.waitForEvent("close");
    await this.page.close({ runBeforeUnload: true });
    await closed;
  }

  /** The statistics of the open peer connections. */
  async statistics() {
    return this.page.evaluate(readStatistics);
  }

  /** One number of the statistics; over all connections, the least. */
  async least(field) {
    const all = await this.statistics();
    assert.ok(all.length > 0, "there is no peer connection");
    return Math.min(...all.map((each) => each[field]));
  }

  /** How many peer connections the page has made, closed ones included. */
  async connectionsMade() {
    return this.page.evaluate(() => window.__connections.length);
  }

  async socketsMade() {
    return this.page.evaluate(() => window.__sockets);
  }

  /** Waits until everybody else's pictures and sound come in. */
  async receivesMedia({ within = 20_000 } = {}) {
    const options = { within };
    const connected = async () => {
      const all = await this.statistics();
      assert.ok(all.length > 0, "there is no peer connection");
      assert.deepEqual(
        all.map(({ state }) => state),
        all.map(() => "connected"),
      );
    };
    await eventually(`${this.name} is connected`, connected, options);
    await grows(
      `the frames that ${this.name} decodes`,
      () => this.least("framesDecoded"),
      FRAMES,
      options,
    );
    await grows(
      `the sound that ${this.name} hears`,
      () => this.least("audioEnergy"),
      1e-6,
      options,
    );
  }

  /** Waits until the page plays the sound of somebody, which is more than that it arrives. */
  async playsSound(name) {
    const audio = this.tile(name).locator("audio");
    const position = () => audio.evaluate(({ currentTime }) => currentTime);
    await grows(`what ${this.name} has heard of ${name}`, position, 0.5);
    const [paused, muted] = await audio.evaluate(({ paused, muted }) => [paused, muted]);
    assert.deepEqual([paused, muted], [false, false]);
  }

  /** Waits until there is a picture of somebody, and hands on a sample of it. */
  async seesPicture(name) {
    const video = this.tile(name).locator("video");
    return eventually(`${this.name} sees a picture of ${name}`, async () => {
      const picture = await video.evaluate(samplePicture);
      assert.notEqual(picture.length, 0, "the video shows nothing");
      assert.ok(Math.max(...picture) - Math.min(...picture) > CHANGE, "it is of one colour");
      return picture;
    });
  }

  /** Waits until the picture of somebody has changed, and not only as codecs change pictures. */
  async seesMovement(name) {
    const video = this.tile(name).locator("video");
    const before = await this.seesPicture(name);
    await eventually(`${this.name} sees ${name} move`, async () => {
      const now = await video.evaluate(samplePicture);
      const changed = now.filter((light, place) => Math.abs(light - before[place]) > CHANGE);
      assert.ok(changed.length >= CHANGED_PARTS, `${changed.length} parts have changed`);
    });
  }

  /** What should never have happened in this tab. */
  async assertFaultless() {
    const violations = await this.page.evaluate(() => window.__violations);
    assert.deepEqual(
      [...this.faults, ...violations],
      [],
      `${this.name}'s tab had something to complain about`,
    );
  }

  #watch() {
    const { page } = this;
    page.on("pageerror", (error) => this.#fault(`uncaught: ${error.message}`));
    page.on("dialog", (dialog) => {
      this.#fault(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) {
        this.#fault(`console: ${message.text()}`);
      }
    });
    page.on("request", (request) => this.#visit(request.url()));
    page.on("websocket", (socket) => this.#visit(socket.url()));
  }

  #visit(address) {
    const url = new URL(address);
    if (["data:", "blob:"].includes(url.protocol)) return;
    const origin = url.origin.replace(/^ws/, "http");
    if (url.host !== new URL(this.#origin).host) this.#fault(`request to ${origin}`);
  }

  #fault(text) {
    if (!this.#expected.some((pattern) => pattern.test(text))) this.faults.push(text);
  }
}
