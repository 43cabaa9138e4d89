import assert from "node:assert/strict";
import { test } from "node:test";
import { HASHES, NAMES, TEXTS } from "./hostile_texts.js";
import { Stage } from "./stage.js";

const stage = await Stage.forThisFile();
const timeout = 120_000;
/** Elements that no page of ours has, but for its one script and its one style sheet. */
const FOREIGN =
  "iframe, object, embed, base, math, meta[http-equiv], head title ~ title, body script, " +
  "body style, body link, img:not(.brand-mark), a[href^='javascript'], [onerror], [onload], " +
  "[onfocus], [ontoggle]";

async function assertNoForeignElements(person) {
  const found = await person.page.evaluate(
    (selector) => [...document.querySelectorAll(selector)].map(({ outerHTML }) => outerHTML),
    FOREIGN,
  );
  assert.deepEqual(found, []);
}

/** The text stands there as it was sent, and is text only. */
async function assertPlain(place, text) {
  await place.waitFor();
  const shown = await place.evaluate((element) => ({
    text: element.textContent,
    elements: element.childElementCount,
  }));
  assert.deepEqual(shown, { text: text.trim(), elements: 0 });
}

/** Joins as a program would that is no page of ours, with any name and any data. */
async function joinBare(page, room, name) {
  await page.evaluate(
    async ({ room, name }) => {
      const socket = new WebSocket(`ws://${location.host}/v1/ws`);
      const say = (message) => socket.send(JSON.stringify(message));
      window.__bare = socket;
      await new Promise((resolve, reject) => {
        socket.onopen = () => say({ type: "hello", version: 1 });
        socket.onmessage = ({ data }) => {
          const { type, message } = JSON.parse(data);
          if (type === "welcome") say({ type: "join", id: 1, room, name, data: { audio: name } });
          if (type === "joined") resolve();
          if (type === "error") reject(new Error(message));
        };
      });
    },
    { room, name },
  );
}

async function leaveBare(page) {
  await page.evaluate(() => window.__bare.send(JSON.stringify({ type: "bye" })));
}

test("hostile names show as text, in tiles and in messages", { timeout }, async () => {
  const room = stage.newRoom();
  const ada = await stage.enter("Ada", { room });
  const mallory = await stage.open("Mallory", {});
  for (const name of NAMES) {
    await joinBare(mallory.page, room, name);
    await ada.sees(name);
    await assertPlain(ada.tile(name).getByText(name, { exact: true }), name);
    await assertPlain(ada.page.getByText(`${name} joined`, { exact: true }), `${name} joined`);
    await assertNoForeignElements(ada);
    await leaveBare(mallory.page);
    await ada.seesNoMore(name);
  }
});

test("a hostile name of one's own shows as text", { timeout }, async () => {
  const [name] = NAMES;
  const ada = await stage.enter(name, { room: stage.newRoom() });
  await assertPlain(ada.tile("You").getByText(`${name} (you)`, { exact: true }), `${name} (you)`);
  await assertNoForeignElements(ada);
});

test(
  "hostile chat messages show as text, with the sender and with the receiver",
  { timeout },
  async () => {
    const [, name] = NAMES;
    const room = stage.newRoom();
    const ada = await stage.enter("Ada", { room });
    const mallory = await stage.enter(name, { room });
    await Promise.all([ada.receivesMedia(), mallory.receivesMedia()]);
    await Promise.all([ada.openChat(), mallory.openChat()]);
    for (const [index, text] of TEXTS.entries()) {
      await mallory.says(text);
      for (const person of [mallory, ada]) {
        const message = person.messages.getByRole("listitem").nth(index);
        // The name of who wrote it may be the same.
        await assertPlain(message.getByText(text, { exact: true }).last(), text);
        await assertNoForeignElements(person);
      }
    }
    const last = ada.messages.getByRole("listitem").last();
    await assertPlain(last.getByText(name, { exact: true }), name);
  },
);

test("hostile addresses and pasted links open no call and run nothing", { timeout }, async () => {
  const ada = await stage.open("Ada", {});
  for (const hash of HASHES) {
    await ada.page.goto(`${stage.server.url}/#${hash}`);
    await ada.page.reload();
    await ada.page.getByRole("heading", { level: 1 }).waitFor();
    assert.equal(await ada.page.getByLabel("Your name").count(), 0, hash);
    await assertNoForeignElements(ada);
    await ada.page.getByLabel("Link to a call").fill(`https://evil.example/#${hash}`);
    await ada.button("Open").click();
    await ada.page.getByRole("alert").getByText("This is not a link to a call").waitFor();
    await assertNoForeignElements(ada);
  }
});
