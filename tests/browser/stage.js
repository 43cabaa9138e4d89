import { randomUUID } from "node:crypto";
import { after, afterEach, before } from "node:test";
import { startBrowser } from "./browser.js";
import { Person } from "./person.js";
import { Server } from "./server.js";

/** A server and a browser for the tests of one file. */
export class Stage {
  #people = [];

  /** Sets up before the first test of the file, and takes down after the last. */
  static forThisFile({ server = {}, browser = {} } = {}) {
    const stage = new Stage();
    before(async () => {
      stage.server = await Server.start(server);
      stage.browser = await startBrowser(browser);
    });
    afterEach(() => stage.#clear());
    after(async () => {
      await stage.browser?.close();
      await stage.server?.close();
    });
    return stage;
  }

  /** A room that no other test uses. */
  newRoom() {
    return `suite-${randomUUID()}`;
  }

  /** Somebody before a tab: in the lobby of `room`, or at the start without one. */
  async open(name, { url = this.server.url, ...options } = {}) {
    const person = await Person.open(this.browser, url, { name, ...options });
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

  /** Nobody's tab may have had anything to complain about, whatever the test was of. */
  async #clear() {
    const people = this.#people.splice(0);
    try {
      for (const person of people) {
        if (!person.page.isClosed()) await person.assertFaultless();
      }
    } finally {
      for (const { context } of people) await context.close();
    }
  }
}
