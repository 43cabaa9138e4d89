import assert from "node:assert/strict";
import { after, test } from "node:test";
import { CuttableProxy } from "./cuttable_proxy.js";
import { eventually, grows } from "./eventually.js";
import { WITHOUT_SERVER } from "./person.js";
import { Stage } from "./stage.js";

const stage = await Stage.forThisFile();
const timeout = 120_000;
const LOST = "Reconnecting… the call goes on";
const RECONNECTING = "reconnecting…";
const proxy = await CuttableProxy.before(stage.server);
after(() => proxy.close());

/** Ada behind the proxy, Grace beside it. */
async function pairAcrossProxy() {
  const room = stage.newRoom();
  const ada = await stage.enter("Ada", { room, url: proxy.url, expected: WITHOUT_SERVER });
  const grace = await stage.enter("Grace", { room });
  await Promise.all([ada.receivesMedia(), grace.receivesMedia()]);
  return { ada, grace };
}

/** Runs in the page: its timers are as slow as in a tab that is hidden for five minutes. */
function slowTimersDown() {
  const { setTimeout } = window;
  window.setTimeout = (callback, after) => setTimeout(callback, Math.max(after, 60_000));
}

async function framesGrow(person) {
  await grows(`the frames that ${person.name} decodes`, () => person.least("framesDecoded"), 30);
}

test(
  "a call whose signaling is cut goes on, says so, and resumes without a new peer connection",
  { timeout },
  async () => {
    const { ada, grace } = await pairAcrossProxy();
    const lost = ada.page.getByText(LOST);
    const away = grace.tile("Ada").getByText(RECONNECTING);
    const session = () => stage.server.metric("peerage_sessions");
    const sessions = await session();

    proxy.cut();
    await lost.waitFor();
    await away.waitFor();
    await Promise.all([framesGrow(ada), framesGrow(grace)]);
    await ada.says("Still here.");
    await grace.reads("Still here.");
    // What is said to the server while it is out of reach arrives later.
    await ada.button("Microphone").click();
    assert.ok(await lost.isVisible());
    assert.ok(await away.isVisible());
    assert.equal(await grace.tile("Ada").getByRole("img", { name: "Muted" }).isVisible(), false);

    proxy.mend();
    await lost.waitFor({ state: "detached" });
    await away.waitFor({ state: "detached" });
    await grace.tile("Ada").getByRole("img", { name: "Muted" }).waitFor();
    await Promise.all([framesGrow(ada), framesGrow(grace)]);
    assert.equal(await ada.connectionsMade(), 1);
    assert.equal(await grace.connectionsMade(), 1);
    assert.ok((await ada.socketsMade()) > 1);
    assert.equal(await session(), sessions);
  },
);

test(
  "who joins while somebody's signaling is cut is seen after it is mended",
  { timeout },
  async () => {
    const { ada, grace } = await pairAcrossProxy();
    proxy.cut();
    await ada.page.getByText(LOST).waitFor();
    const joan = await stage.enter("Joan", { room: grace.room });
    await joan.sees("Ada");
    await joan.tile("Ada").getByText(RECONNECTING).waitFor();
    proxy.mend();
    await ada.sees("Joan");
    await Promise.all([ada.receivesMedia(), joan.receivesMedia()]);
    assert.equal(await ada.connectionsMade(), 2);
    assert.equal(await grace.connectionsMade(), 2);
  },
);

test(
  "a network that falls silent is found out in a tab that nobody looks at, too, and the call resumes",
  { timeout },
  async () => {
    const { ada, grace } = await pairAcrossProxy();
    await ada.page.evaluate(slowTimersDown);
    const lost = ada.page.getByText(LOST);
    proxy.silence();
    // A ping after ten seconds, given up five later.
    await lost.waitFor({ timeout: 30_000 });
    proxy.mend();
    await lost.waitFor({ state: "detached" });
    await ada.button("Microphone").click();
    await grace.tile("Ada").getByRole("img", { name: "Muted" }).waitFor();
    await Promise.all([framesGrow(ada), framesGrow(grace)]);
    assert.equal(await ada.connectionsMade(), 1);
    assert.ok((await ada.socketsMade()) > 1);
  },
);

test(
  "a page that cannot reach the server says so, and joins as soon as it can",
  { timeout },
  async () => {
    const room = stage.newRoom();
    const ada = await stage.open("Ada", { room, url: proxy.url, expected: WITHOUT_SERVER });
    await ada.page.getByLabel("Your name").fill("Ada");
    proxy.cut();
    await ada.button("Join").click();
    await ada.page.getByText("The server does not answer yet").waitFor();
    proxy.mend();
    await ada.isInCall();
  },
);

test(
  "a call goes on while the server is restarted, and over the same connection after it",
  { timeout },
  async () => {
    const room = stage.newRoom();
    const expected = WITHOUT_SERVER;
    const ada = await stage.enter("Ada", { room, expected });
    const grace = await stage.enter("Grace", { room, expected });
    await Promise.all([ada.receivesMedia(), grace.receivesMedia()]);

    assert.equal(await stage.server.terminate(), 0);
    for (const person of [ada, grace]) await person.page.getByText(LOST).waitFor();
    await Promise.all([framesGrow(ada), framesGrow(grace)]);
    await ada.says("The server is gone, we are not.");
    await grace.reads("The server is gone, we are not.");
    // Said to a server that is not there, and kept for the one that comes.
    await ada.button("Microphone").click();

    await stage.server.startAgain();
    for (const person of [ada, grace]) {
      await person.page.getByText(LOST).waitFor({ state: "detached" });
    }
    await eventually("both are in the room again", async () => {
      assert.equal(await stage.server.metric("peerage_sessions"), 2);
      assert.equal(await stage.server.metric("peerage_rooms"), 1);
    });
    await grace.tile("Ada").getByRole("img", { name: "Muted" }).waitFor();
    await Promise.all([framesGrow(ada), framesGrow(grace)]);
    await ada.seesMovement("Grace");
    for (const person of [ada, grace]) {
      assert.equal(await person.connectionsMade(), 1);
      assert.equal(await person.people.getByRole("listitem").count(), 2);
    }
    const joan = await stage.enter("Joan", { room, expected });
    await Promise.all([joan.seesPicture("Ada"), joan.seesPicture("Grace"), ada.sees("Joan")]);
    await grace.button("Microphone").click();
    await ada.tile("Grace").getByRole("img", { name: "Muted" }).waitFor();
    await grace.says("All is well again.");
    await ada.reads("All is well again.");
  },
);
