import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, grows } from "./eventually.js";
import { WITHOUT_SERVER } from "./person.js";
import { Server } from "./server.js";
import { Stage } from "./stage.js";

const timeout = 120_000;
const stage = await Stage.forThisFile({ server: { turn: [] } });

/** A server, and another one that is to take its place, which its page may connect to. */
async function blueAndGreen() {
  const blue = await Server.start();
  stage.afterThisTest(() => blue.close());
  const configuration = `[http]\nallowed_origins = ["${blue.url}"]\n`;
  const green = await Server.start({ before: blue, configuration });
  stage.afterThisTest(() => green.close());
  const ahead = `[http]\nother_servers = ["${green.url}"]\n`;
  await blue.configure(ahead);
  return {
    blue,
    green,
    /** Replaces the first by the second as docs/operator.md says. */
    async replace() {
      await blue.configure(`${ahead}[signal]\nelsewhere = "${green.url}"\ndrain = "500ms"\n`);
      assert.equal(await blue.terminate(), 0);
    },
  };
}

async function framesGrow(person) {
  await grows(`the frames that ${person.name} decodes`, () => person.least("framesDecoded"), 30);
}

/** Ada and Grace in a call by way of a server that another one is about to replace. */
async function pairAt({ blue, green }, options = {}) {
  const room = stage.newRoom();
  const expected = [...WITHOUT_SERVER, new RegExp(`^request to ${green.url}$`)];
  const url = blue.url;
  const ada = await stage.enter("Ada", { room, url, expected, ...options });
  const grace = await stage.enter("Grace", { room, url, expected, ...options });
  await Promise.all([ada.receivesMedia(), grace.receivesMedia()]);
  return { ada, grace };
}

async function assertGoesOn({ green }, { ada, grace }) {
  await eventually("both are in their room there", async () => {
    assert.equal(await green.metric("peerage_sessions"), 2);
    assert.equal(await green.metric("peerage_rooms"), 1);
  });
  await Promise.all([framesGrow(ada), framesGrow(grace)]);
  await ada.seesMovement("Grace");
  // By the data channel, and by the server that is there now.
  await ada.says("Here we are.");
  await grace.reads("Here we are.");
  await ada.button("Microphone").click();
  await grace.tile("Ada").getByRole("img", { name: "Muted" }).waitFor();
  for (const person of [ada, grace]) {
    assert.equal(await person.connectionsMade(), 1);
    assert.equal(await person.people.getByRole("listitem").count(), 2);
  }
}

test(
  "a call goes on over the same connection at the server that takes the place",
  { timeout },
  async () => {
    const servers = await blueAndGreen();
    const people = await pairAt(servers);
    await servers.replace();
    await assertGoesOn(servers, people);
  },
);

test(
  "a relayed call changes to the relay of the server that takes the place",
  { timeout },
  async () => {
    const servers = await blueAndGreen();
    const people = await pairAt(servers, { relayOnly: true });
    await servers.replace();
    await assertGoesOn(servers, people);
    assert.ok((await servers.green.metric("peerage_turn_allocations")) >= 2);
    const [{ local }] = await people.ada.statistics();
    assert.equal(local, "relay");
  },
);
