import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { DEVICES, startBrowser } from "./browser.js";
import { eventually } from "./eventually.js";
import { WITHOUT_DEVICE } from "./person.js";
import { Stage } from "./stage.js";

const stage = await Stage.forThisFile();
const timeout = 90_000;

/** A browser of its own for the tests of one group. */
function browserWith(devices) {
  const own = {};
  before(async () => {
    own.browser = await startBrowser({ devices });
  });
  after(() => own.browser?.close());
  return own;
}

test("the lobby shows the camera and how loud the microphone is", { timeout }, async () => {
  const ada = await stage.open("Ada", { room: stage.newRoom() });
  await ada.page.getByLabel("Camera preview").waitFor({ state: "visible" });
  // The level needs a touch of the page, as browsers want it for sound.
  await ada.page.getByLabel("Your name").click();
  const level = ada.page.getByRole("meter", { name: "Microphone level" });
  await eventually("the level rises", async () => {
    assert.ok(Number(await level.getAttribute("aria-valuenow")) > 0);
  });
});

describe("who refuses camera and microphone", () => {
  const own = browserWith(DEVICES.refused);

  test("is told what to do about it, and joins without", { timeout }, async () => {
    const room = stage.newRoom();
    const grace = await stage.enter("Grace", { room });
    const ada = await stage.open("Ada", { room, browser: own.browser, expected: WITHOUT_DEVICE });
    const words = ada.page.getByRole("alert");
    await words.getByText("Camera and microphone are blocked for this page.").waitFor();
    await words.getByText("You can join without").waitFor();
    await ada.join();
    await ada.sees("Grace");
    await ada.receivesMedia();
    await ada.seesMovement("Grace");
    await grace.sees("Ada");
    await grace.tile("Ada").getByRole("img", { name: "Muted" }).waitFor();
    assert.equal(await grace.tile("Ada").locator("video").isVisible(), false);
    await ada.says("I have neither, but I can write.");
    await grace.reads("I have neither, but I can write.");
  });

  test("is told so again when unmuting in the call", { timeout }, async () => {
    const room = stage.newRoom();
    const ada = await stage.open("Ada", { room, browser: own.browser, expected: WITHOUT_DEVICE });
    await ada.join();
    await ada.button("Microphone").click();
    await ada.page.getByText("The microphone is blocked for this page.").waitFor();
  });
});

describe("who has no camera", () => {
  const own = browserWith(DEVICES.noCamera);

  test("is told so, and is heard in the call all the same", { timeout }, async () => {
    const room = stage.newRoom();
    const grace = await stage.enter("Grace", { room });
    const ada = await stage.open("Ada", { room, browser: own.browser, expected: WITHOUT_DEVICE });
    await ada.page.getByRole("alert").getByText("No camera was found.").waitFor();
    await ada.join();
    await ada.receivesMedia();
    await grace.sees("Ada");
    await eventually("Grace hears Ada", async () => {
      assert.ok((await grace.least("audioEnergy")) > 0);
    });
    const muted = grace.tile("Ada").getByRole("img", { name: "Muted" });
    assert.equal(await muted.isVisible(), false);
    assert.equal(await grace.tile("Ada").locator("video").isVisible(), false);
  });
});
