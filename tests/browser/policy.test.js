import assert from "node:assert/strict";
import { test } from "node:test";
import { Stage } from "./stage.js";

const stage = await Stage.forThisFile();
const timeout = 120_000;

test(
  "a call in which everything is used breaks no rule of the page and goes nowhere else",
  { timeout },
  async () => {
    const ada = await stage.open("Ada", {});
    await ada.button("Start a call").click();
    await ada.page.getByText("Devices").click();
    await ada.join();
    const room = new URL(ada.page.url()).hash.slice(1);
    const grace = await stage.enter("Grace", { room });
    await Promise.all([ada.receivesMedia(), grace.receivesMedia()]);

    await ada.badge("Grace").click();
    for (const name of [
      "Devices",
      "Keyboard shortcuts",
      "Share screen",
      "Share screen",
      "Copy link",
    ]) {
      await ada.button(name).click();
    }
    for (const name of ["Microphone", "Camera", "Microphone", "Camera"]) {
      await ada.button(name).click();
    }
    await ada.says("Everything used.");
    await grace.reads("Everything used.");
    await grace.receivesMedia();
    await ada.leaves();
    await ada.button("Back to the start").click();
    await ada.button("Start a call").waitFor();
    await grace.seesNoMore("Ada");
    await ada.assertFaultless();
    await grace.assertFaultless();
  },
);

test(
  "the page's own policy stops scripts, styles, frames and requests that are not the page's",
  { timeout },
  async () => {
    const ada = await stage.open("Ada", {
      expected: [/Content Security Policy/, /TrustedHTML/, /Refused to/],
    });
    const attempts = await ada.page.evaluate(async () => {
      const outcome = { ran: [], threw: [] };
      window.__ran = outcome.ran;
      const attempt = (name, act) => {
        try {
          act();
        } catch {
          outcome.threw.push(name);
        }
      };
      // What the debugger itself runs may use eval; what a timer runs may not.
      await new Promise((resolve) => setTimeout(resolve));
      attempt("html", () => (document.body.innerHTML = "<b></b>"));
      attempt("eval", () => eval("__ran.push('eval')"));
      attempt("inline", () => {
        const script = document.createElement("script");
        script.append("__ran.push('inline')");
        document.body.append(script);
      });
      return outcome;
    });
    assert.deepEqual(attempts.ran, []);
    assert.ok(attempts.threw.includes("html"), "HTML can be written into the page");
    assert.ok(attempts.threw.includes("eval"), "text can be run");
    const reached = await ada.page.evaluate(() =>
      fetch("https://example.org/").then(
        () => true,
        () => false,
      ),
    );
    assert.equal(reached, false);
    // The watch that all other tests rely on sees what is forbidden.
    await assert.rejects(ada.assertFaultless(), /complain/);
    await ada.page.close();
  },
);
