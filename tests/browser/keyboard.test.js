import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "./eventually.js";
import { Stage } from "./stage.js";

const stage = await Stage.forThisFile();
const timeout = 90_000;
const MOST_STOPS = 25;

/** Presses Tab until something of that name has the focus, which must be seen. */
async function tabTo({ page }, target) {
  for (let stop = 0; stop < MOST_STOPS; stop += 1) {
    await page.keyboard.press("Tab");
    if (!(await target.evaluate((element) => element === document.activeElement))) continue;
    const outline = await target.evaluate((element) => {
      const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(element);
      return { outline: outlineStyle !== "none" && outlineWidth !== "0px", boxShadow };
    });
    assert.ok(outline.outline || outline.boxShadow !== "none", "the focus cannot be seen");
    return;
  }
  assert.fail(`${MOST_STOPS} times Tab do not lead to ${target}`);
}

test(
  "a call is started, muted, chatted in and left with the keyboard alone",
  { timeout },
  async () => {
    const ada = await stage.open("Ada", {});
    const { keyboard } = ada.page;
    await tabTo(ada, ada.button("Start a call"));
    await keyboard.press("Enter");

    await tabTo(ada, ada.page.getByLabel("Your name"));
    await keyboard.type("Ada");
    await keyboard.press("Enter");
    await ada.isInCall();
    const room = new URL(ada.page.url()).hash.slice(1);
    const grace = await stage.enter("Grace", { room });
    await ada.sees("Grace");
    await ada.receivesMedia();

    const muted = grace.tile("Ada").getByRole("img", { name: "Muted" });
    await keyboard.press("m");
    await muted.waitFor();
    await tabTo(ada, ada.button("Microphone"));
    await keyboard.press("Space");
    await muted.waitFor({ state: "detached" });
    await keyboard.press("Enter");
    await muted.waitFor();
    assert.equal(await ada.button("Microphone").getAttribute("aria-pressed"), "false");

    await keyboard.press("v");
    await grace.tile("Ada").locator("video").waitFor({ state: "hidden" });
    await keyboard.press("v");
    await grace.tile("Ada").locator("video").waitFor({ state: "visible" });

    await keyboard.press("c");
    await ada.messages.waitFor();
    // In the field the letters of shortcuts are letters.
    await keyboard.type("mvcs?");
    await keyboard.press("Enter");
    await grace.reads("mvcs?");
    assert.equal(await muted.isVisible(), true);
    await keyboard.press("Escape");
    await ada.messages.waitFor({ state: "detached" });

    await keyboard.press("?");
    await ada.page.getByRole("complementary", { name: "Keyboard shortcuts" }).waitFor();
    await keyboard.press("Escape");

    await tabTo(ada, ada.button("Hang up"));
    await keyboard.press("Enter");
    await grace.seesNoMore("Ada");
    await tabTo(ada, ada.button("Rejoin"));
  },
);

test("the key after the one that opens the chat is typed into it", { timeout }, async () => {
  const ada = await stage.enter("Ada", { room: stage.newRoom() });
  const focused = await ada.page.evaluate(async () => {
    document.dispatchEvent(new KeyboardEvent("keydown", { key: "c", cancelable: true }));
    // The next key comes in a task of its own, whether or not a picture has been drawn before.
    await new Promise((next) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = next;
      port2.postMessage(null);
    });
    return document.activeElement.getAttribute("aria-label");
  });
  assert.equal(focused, "Message");
});

test("the path to somebody opens and closes with the keyboard", { timeout }, async () => {
  const { ada } = await stage.pair();
  const badge = ada.badge("Grace");
  await badge.waitFor();
  await tabTo(ada, badge);
  await ada.page.keyboard.press("Enter");
  await ada.tile("Grace").getByText("Round trip").waitFor({ state: "visible" });
  await ada.page.keyboard.press("Escape");
  await ada.tile("Grace").getByText("Round trip").waitFor({ state: "hidden" });
});

test("the link of the call is copied with the keyboard", { timeout }, async () => {
  const room = stage.newRoom();
  const permissions = ["clipboard-read", "clipboard-write"];
  const ada = await stage.enter("Ada", { room, permissions });
  await tabTo(
    ada,
    ada.page.getByRole("region", { name: "Waiting for others" }).getByRole("button"),
  );
  await ada.page.keyboard.press("Enter");
  await ada.page.getByText("Copied").waitFor();
  await eventually("the link is in the clipboard", async () => {
    const copied = await ada.page.evaluate(() => navigator.clipboard.readText());
    assert.equal(copied, `${stage.server.url}/#${room}`);
  });
});
