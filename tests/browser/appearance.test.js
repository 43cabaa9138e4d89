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
