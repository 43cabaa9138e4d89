import assert from "node:assert/strict";
import { test } from "node:test";
import { network, skip, UDP, withCall } from "./behind_nats.js";
import { eventually } from "./eventually.js";
import { WITHOUT_SERVER } from "./person.js";

const timeout = 120_000;
const kinds = ["port-restricted", "port-restricted"];
const expected = [...WITHOUT_SERVER, /Failed to load resource/];

/** Runs in the page: notes when a picture of the other one has come, until it is asked. */
function watchPictures() {
  const times = [];
  let decoded = 0;
  const look = async () => {
    const frames = await Promise.all(
      window.__connections
        .filter(({ connectionState }) => connectionState !== "closed")
        .map(async (connection) => {
          const entries = [...(await connection.getStats()).values()];
          return entries.find(({ type, kind }) => type === "inbound-rtp" && kind === "video");
        }),
    );
    const now = frames.reduce((sum, entry) => sum + (entry?.framesDecoded ?? 0), 0);
    if (now !== decoded) times.push(performance.now());
    decoded = now;
  };
  const timer = setInterval(look, 50);
  window.__longestGap = () => {
    clearInterval(timer);
    return Math.max(...times.slice(1).map((time, place) => time - times[place]));
  };
}

/** For how long each has seen nothing new of the other while `body` ran, in milliseconds. */
async function gaps(people, body) {
  for (const { page } of people) await page.evaluate(watchPictures);
  await body();
  return Promise.all(
    people.map(async ({ page }) => Math.round(await page.evaluate(() => window.__longestGap()))),
  );
}

/** What somebody has read, in its order. */
async function texts(person) {
  await person.openChat();
  return person.messages.locator(".chat-text").allTextContents();
}

/** Runs in the page: from now on restarts lead to nothing. */
function breakRestarts() {
  RTCPeerConnection.prototype.restartIce = () => {
    throw new Error("out of order");
  };
}

/** Changes the network of somebody in a call in which both go on talking, and tells the gaps. */
async function changes(side, [ada, grace], say) {
  const [adas, graces] = await gaps([ada, grace], async () => {
    network("switch", side);
    for (let round = 0; round < 5; round += 1) {
      await say(ada);
      await say(grace);
    }
    await Promise.all([ada.receivesMedia(), grace.receivesMedia()]);
  });
  console.log(`no pictures for ${adas} ms (Ada) and ${graces} ms (Grace)`);
}

test("who changes networks in a call goes on with it", { timeout, skip }, async () => {
  await withCall({ kinds, turn: [UDP], expected }, async (ada, grace) => {
    const said = [];
    const say = async (person) => {
      said.push(`${person.name} ${said.length}`);
      await person.says(said.at(-1));
    };
    const all = { within: 40_000 };
    await changes("a", [ada, grace], say);
    for (const person of [ada, grace]) {
      await eventually(
        `${person.name} has read everything`,
        async () => assert.deepEqual((await texts(person)).sort(), [...said].sort()),
        all,
      );
      assert.equal(await person.connectionsMade(), 1);
    }

    // Where no restart helps, another connection does.
    for (const { page } of [ada, grace]) await page.evaluate(breakRestarts);
    network("switch", "b");
    for (const person of [ada, grace]) {
      await eventually(
        `${person.name} has another connection`,
        async () => assert.ok((await person.connectionsMade()) > 1),
        all,
      );
      await person.receivesMedia(all);
    }
    await ada.says("Anew.");
    await grace.reads("Anew.");
  });
});
