import assert from "node:assert/strict";
import { test } from "node:test";
import { Stage } from "./stage.js";

const stage = await Stage.forThisFile();
const timeout = 120_000;

test(
  "three people see and hear each other; one leaves, and the others see it and go on",
  { timeout },
  async () => {
    const { ada, grace, room } = await stage.pair();
    const joan = await stage.enter("Joan", { room });
    await Promise.all([ada.sees("Joan"), grace.sees("Joan"), joan.sees("Ada"), joan.sees("Grace")]);
    for (const person of [ada, grace, joan]) {
      await person.receivesMedia();
      assert.equal((await person.statistics()).length, 2);
    }
    await joan.seesMovement("Ada");
    await joan.seesMovement("Grace");

    await joan.says("Hello, both of you.");
    await ada.reads("Hello, both of you.");
    await grace.reads("Hello, both of you.");

    await joan.leaves();
    await Promise.all([ada.seesNoMore("Joan"), grace.seesNoMore("Joan")]);
    await ada.page.getByText("Joan left").waitFor();
    assert.equal((await ada.statistics()).length, 1);
    await Promise.all([ada.receivesMedia(), grace.receivesMedia()]);
  },
);
