import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { sidewaysOverflow } from "./in_page.js";
import { Stage } from "./stage.js";

const stage = await Stage.forThisFile({
  browser: { camera: { width: 640, height: 360, fps: 15 } },
});
const timeout = 120_000;
const RESULTS = join(import.meta.dirname, "results");
const LONG_NAME = "Wilhelmina Featherstonehaugh-Cholmondeley of the Upper Valley";

before(() => mkdir(RESULTS, { recursive: true }));

const SIZES = [
  { width: 1280, height: 800 },
  { width: 390, height: 844 },
  { width: 320, height: 568 },
];

/** In a call of two, one's own tile is small, within the other's, and hides nothing of use. */
async function assertOwnTileInCorner(person, name) {
  const own = await person.tile("You").boundingBox();
  const other = await person.tile(name).boundingBox();
  const badge = await person.badge(name).boundingBox();
  const caption = await person.tile(name).getByText(name, { exact: true }).boundingBox();
  assert.ok(own.width <= 0.31 * other.width, `it is ${own.width} wide`);
  assert.ok(Math.abs(right(other) - right(own) - 12) <= 1, "it is not at the right");
  assert.ok(Math.abs(bottom(other) - bottom(own) - 12) <= 1, "it is not at the bottom");
  for (const [what, box] of Object.entries({ badge, caption })) {
    const apart = right(box) <= own.x || bottom(box) <= own.y;
    assert.ok(apart, `it covers the ${what}`);
  }
}

/** What is no link is marked where it is, and can be replaced at once. */
async function assertProblemMovesNothing({ page }) {
  const start = page.getByRole("button", { name: "Start a call" });
  const before = await start.boundingBox();
  const field = page.getByLabel("Link to a call");
  await field.fill("this is no link");
  await page.getByRole("button", { name: "Open" }).click();
  await page.getByRole("alert").waitFor();
  assert.deepEqual(await start.boundingBox(), before);
  const selected = await field.evaluate(
    (input) => input === document.activeElement && input.selectionEnd - input.selectionStart,
  );
  assert.equal(selected, "this is no link".length);
}

function right({ x, width }) {
  return x + width;
}

function bottom({ y, height }) {
  return y + height;
}

for (const viewport of SIZES) {
  const size = `${viewport.width}x${viewport.height}`;
  for (const colorScheme of ["light", "dark"]) {
    describe(`at ${size}, ${colorScheme}`, () => {
      const look = { viewport, colorScheme, hasTouch: viewport.width < 800 };

      const tooWide = [];

      /** Keeps a picture, and notes what does not fit the width of the page. */
      async function see(person, name) {
        const path = join(RESULTS, `${name}-${size}-${colorScheme}.png`);
        await person.page.screenshot({ path, animations: "disabled" });
        const { scroll, outside } = await person.page.evaluate(sidewaysOverflow);
        if (scroll > 0 || outside.length > 0) tooWide.push({ name, scroll, outside });
      }

      test("start, lobby and call fit the page", { timeout }, async () => {
        const ada = await stage.open("Ada Lovelace", look);
        await see(ada, "start");
        await assertProblemMovesNothing(ada);
        await see(ada, "start-problem");
        await ada.button("Start a call").click();
        await ada.page.getByLabel("Camera preview").waitFor({ state: "visible" });
        await ada.page.getByLabel("Your name").fill(ada.name);
        await see(ada, "lobby");
        await ada.join();
        const room = new URL(ada.page.url()).hash.slice(1);
        await ada.seesPicture("You");
        await see(ada, "alone");

        const grace = await stage.enter("Grace Hopper", { room });
        await ada.receivesMedia();
        await ada.badge("Grace Hopper").waitFor();
        await ada.page.getByText("Grace Hopper joined").waitFor({ state: "detached" });
        await assertOwnTileInCorner(ada, "Grace Hopper");
        await see(ada, "call");
        await ada.badge("Grace Hopper").click();
        await see(ada, "path");
        await ada.page.keyboard.press("Escape");

        await grace.says("Have you seen the picture of the moth?");
        await ada.says("Yes! It is https://moth.example/" + "a-very-long-address".repeat(6));
        await see(ada, "chat");
        await ada.page.keyboard.press("Escape");
        await ada.button("Devices").click();
        await see(ada, "devices");
        await ada.page.keyboard.press("Escape");

        await ada.button("Microphone").click();
        await ada.button("Camera").click();
        const third = await stage.enter(LONG_NAME, { room });
        await ada.sees(LONG_NAME);
        await ada.badge(LONG_NAME).waitFor();
        await ada.seesPicture(LONG_NAME);
        await see(ada, "three");
        await third.leaves();
        await ada.leaves();
        await see(ada, "left");
        assert.deepEqual(tooWide, []);
      });
    });
  }
}
