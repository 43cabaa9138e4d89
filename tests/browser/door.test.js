import assert from "node:assert/strict";
import { test } from "node:test";
import { sidewaysOverflow } from "./in_page.js";
import { Stage } from "./stage.js";

const stage = await Stage.forThisFile();
const timeout = 90_000;

/** Somebody who has knocked at the door of a locked room. */
async function knock(name, room, options = {}) {
  const person = await stage.open(name, { room, ...options });
  await person.page.getByLabel("Your name").fill(name);
  await person.button("Join").click();
  await person.page.getByText("You have knocked").waitFor();
  return person;
}

/** Ada's room, with Grace in it, which she has locked. */
async function locked(options = {}) {
  const room = stage.newRoom();
  const ada = await stage.enter("Ada", { room, ...options });
  const grace = await stage.enter("Grace", { room });
  await ada.sees("Grace");
  await ada.button("Lock").click();
  await grace.page.getByText("The call is locked").waitFor();
  assert.equal(await ada.button("Lock").getAttribute("aria-pressed"), "true");
  return { ada, grace, room };
}

test("a host locks the call, and lets in or sends away who knocks", { timeout }, async () => {
  const { ada, grace, room } = await locked();
  assert.equal(await grace.button("Lock").count(), 0);
  const kay = await knock("Kay", room);
  const waiting = ada.page.getByRole("list", { name: "People who wait to be let in" });
  await waiting.getByText("Kay wants to come in").waitFor();
  assert.equal(await grace.page.getByText("Kay wants to come in").count(), 0);
  await ada.button("Admit Kay").click();
  await kay.isInCall();
  await Promise.all([ada.sees("Kay"), grace.sees("Kay"), kay.sees("Ada"), kay.sees("Grace")]);
  await waiting.waitFor({ state: "detached" });

  const eve = await knock("Eve", room);
  await ada.button("Deny Eve").click();
  await eve.page.getByRole("alert").getByText("You were not let in.").waitFor();

  const joan = await knock("Joan", room);
  await ada.button("Admit Joan").waitFor();
  await joan.button("Cancel").click();
  await ada.button("Admit Joan").waitFor({ state: "detached" });

  await ada.button("Lock").click();
  await grace.page.getByText("The call is open again.").waitFor();
  await joan.join();
  await ada.sees("Joan");
});

test("a host puts somebody out, who is told", { timeout }, async () => {
  const room = stage.newRoom();
  const ada = await stage.enter("Ada", { room });
  const grace = await stage.enter("Grace", { room });
  await ada.sees("Grace");
  assert.equal(await grace.button("Remove Ada").count(), 0);
  await ada.button("Remove Grace").click();
  await ada.button("Keep").click();
  await ada.button("Remove Grace").click();
  await ada.page.getByRole("group", { name: "Remove Grace from the call?" }).waitFor();
  await ada.button("Remove").click();
  await ada.seesNoMore("Grace");
  await grace.page.getByText("You were put out of the call.").waitFor();
});

test("whoever is left looks after the call", { timeout }, async () => {
  const room = stage.newRoom();
  const ada = await stage.enter("Ada", { room });
  const grace = await stage.enter("Grace", { room });
  await grace.sees("Ada");
  await ada.leaves();
  await grace.button("Lock").waitFor();
});

const PICTURES = process.env.SUITE_PICTURES;

/** Whether nothing sticks out, in the light and in the dark. */
async function fits(person, what) {
  for (const colorScheme of ["light", "dark"]) {
    await person.page.emulateMedia({ colorScheme });
    const { scroll, outside } = await person.page.evaluate(sidewaysOverflow);
    assert.deepEqual({ scroll, outside }, { scroll: 0, outside: [] }, what);
    const path = `${PICTURES}/${what}-${colorScheme}.png`;
    if (PICTURES) await person.page.screenshot({ path, fullPage: true });
  }
}

for (const [width, height] of [
  [1280, 800],
  [390, 844],
  [320, 568],
]) {
  test(`the door fits at ${width}x${height}`, { timeout }, async () => {
    const viewport = { width, height };
    const { ada, room } = await locked({ viewport });
    const name = "Augusta Ada King, Countess of Lovelace";
    const kay = await knock(name, room, { viewport });
    await ada.button(`Admit ${name}`).waitFor();
    await ada.button("Remove Grace").click();
    await fits(ada, `host-${width}`);
    await fits(kay, `knocking-${width}`);
    // What lies over the call can all be reached, and leaves its controls free.
    await ada.button("Keep").click();
    await ada.button(`Deny ${name}`).click();
    await ada.leaves();
  });
}
