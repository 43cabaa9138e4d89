import { randomUUID } from "node:crypto";
import { after, afterEach } from "node:test";
import { startBrowser } from "./browser.js";
import { Person } from "./person.js";
import { Server } from "./server.js";

/** A server and a browser for the tests of one file. */
export class Stage {
  #people = [];
  #ends = [];

  /** Sets up now, and takes down after the last test of the file. */
  static async forThisFile({ server = {}, browser = {} } = {}) {
    const stage = new Stage();
    afterEach(() => stage.#clear());
    after(() => stage.#close());
    try {
      stage.server = await Server.start(server);
      stage.browser = await startBrowser(browser);
    } catch (error) {
      await stage.#close();
      throw error;
    }
    return stage;
  }

  /** A room that no other test uses. */
  newRoom() {
    return `suite-${randomUUID()}`;
  }

  /** Somebody before a tab: in the lobby of `room`, or at the start without one. */
  async open(name, { url = this.server.url, browser = this.browser, ...options } = {}) {
    const person = await Person.open(browser, url, { name, ...options });
    this.#people.push(person);
    return person;
  }

  /** Somebody in the call. */
  async enter(name, { relayOnly, ...options }) {
    const person = await this.open(name, options);
    await person.join({ relayOnly });
    return person;
  }

  /** Ada and Grace, who see and hear each other. */
  async pair(options = {}) {
    const room = this.newRoom();
    const ada = await this.enter("Ada", { room, ...options });
    const grace = await this.enter("Grace", { room, ...options });
    await Promise.all([ada.sees("Grace"), grace.sees("Ada")]);
    await Promise.all([ada.receivesMedia(), grace.receivesMedia()]);
    return { ada, grace, room };
  }

  async #close() {
    await this.browser?.close();
    await this.server?.close();
  }

  /**
   * Ends after the running test what it has begun, once all tabs are closed. A hook of the test's
   * own would not be called after one that fails, and what stays open keeps the suite waiting.
   */
  afterThisTest(end) {
    this.#ends.push(end);
  }

  /** Nobody's tab may have had anything to complain about, whatever the test was of. */
  async #clear() {
    const people = this.#people.splice(0);
    try {
      for (const person of people) {
        if (!person.page.isClosed()) await person.assertFaultless();
      }
    } finally {
      const closings = people.map(({ context }) => context.close());
      await Promise.allSettled(closings);
      const ends = this.#ends.splice(0).map(async (end) => end());
      for (const { status, reason } of await Promise.allSettled(ends)) {
        if (status === "rejected") throw reason;
      }
    }
  }
}
