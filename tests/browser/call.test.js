import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, grows } from "./eventually.js";
import { Stage } from "./stage.js";

const stage = await Stage.forThisFile();
const timeout = 90_000;

test("two people see each other move, hear each other and chat", { timeout }, async () => {
  const { ada, grace } = await stage.pair();
  await ada.seesMovement("Grace");
  await grace.seesMovement("Ada");
  await ada.says("Do you see me?");
  await grace.reads("Do you see me?");
  await grace.says("Yes, and I hear you.");
  await ada.reads("Yes, and I hear you.");
});

test("the badge of a direct call says that it is direct", { timeout }, async () => {
  const { ada, grace } = await stage.pair();
  for (const [person, other] of [
    [ada, "Grace"],
    [grace, "Ada"],
  ]) {
    await person.badge(other).getByText("Direct · same network").waitFor();
    const [{ local, remote }] = await person.statistics();
    assert.deepEqual(
      [local, remote].map((type) => type === "relay"),
      [false, false],
    );
  }
});

test("who mutes shows as muted and is heard no more", { timeout }, async () => {
  const { ada, grace } = await stage.pair();
  const muted = grace.tile("Ada").getByRole("img", { name: "Muted" });
  await muted.waitFor({ state: "detached" });
  await ada.button("Microphone").click();
  await muted.waitFor();
  await eventually("Grace hears silence", async () => {
    const before = await grace.least("audioEnergy");
    // Two seconds of video; the fake microphone beeps every second.
    await grows("time", () => grace.least("framesDecoded"), 30);
    assert.ok((await grace.least("audioEnergy")) - before < 1e-7, "there is still sound");
  });
  await ada.button("Microphone").click();
  await muted.waitFor({ state: "detached" });
  await grace.receivesMedia();
});

test(
  "who switches the camera off shows as a name, and later as a picture again",
  { timeout },
  async () => {
    const { ada, grace } = await stage.pair();
    const video = grace.tile("Ada").locator("video");
    await ada.button("Camera").click();
    await video.waitFor({ state: "hidden" });
    await ada.button("Camera").click();
    await video.waitFor({ state: "visible" });
    await grace.seesMovement("Ada");
  },
);

test("who joins with the camera off is heard all the same", { timeout }, async () => {
  const room = stage.newRoom();
  const grace = await stage.enter("Grace", { room });
  const ada = await stage.open("Ada", { room });
  await ada.page.getByLabel("Camera preview").waitFor({ state: "visible" });
  await ada.button("Camera").click();
  await ada.join();
  await grace.sees("Ada");
  await eventually("Grace hears Ada", async () => {
    assert.ok((await grace.least("audioEnergy")) > 0);
  });
  await grace.playsSound("Ada");
  await grace.tile("Ada").getByText("A", { exact: true }).waitFor();
  await ada.button("Camera").click();
  await grace.seesMovement("Ada");
  await grace.playsSound("Ada");
});

test("who hangs up is gone for the others, and can come back", { timeout }, async () => {
  const { ada, grace } = await stage.pair();
  await grace.leaves();
  await ada.seesNoMore("Grace");
  await ada.page.getByText("Grace left").waitFor();
  await grace.button("Rejoin").click();
  await ada.sees("Grace");
  await ada.receivesMedia();
  await grace.receivesMedia();
});

test("who closes the tab is gone for the others at once", { timeout }, async () => {
  const { ada, grace } = await stage.pair();
  await grace.closesTab();
  // Far below the minute after which a lost session expires.
  await ada.tile("Grace").waitFor({ state: "detached", timeout: 5_000 });
});

test("a second tab of the same browser is one more person", { timeout }, async () => {
  const { ada, grace, room } = await stage.pair();
  const name = "Ada in another tab";
  const again = await stage.enter(name, { room, context: ada.context });
  await Promise.all([ada.sees(name), grace.sees(name), again.sees("Ada")]);
  await Promise.all([ada, grace, again].map((person) => person.receivesMedia()));
  assert.equal((await ada.statistics()).length, 2);
  await again.leaves();
  await ada.seesNoMore(name);
  await ada.receivesMedia();
});

test(
  "a shared screen is seen by the other side, and the camera after it",
  { timeout },
  async () => {
    const { ada, grace } = await stage.pair();
    const video = grace.tile("Ada").locator("video");
    const width = () => video.evaluate(({ videoWidth }) => videoWidth);
    const camera = await width();
    await ada.button("Share screen").click();
    await ada.page.getByText("You are sharing your screen").waitFor();
    await eventually("Grace sees a picture of another size", async () => {
      assert.notEqual(await width(), camera);
    });
    await ada.button("Share screen").click();
    await eventually("Grace sees the camera again", async () => {
      assert.equal(await width(), camera);
    });
    await grace.seesMovement("Ada");
  },
);
