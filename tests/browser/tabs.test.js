import assert from "node:assert/strict";
import { test } from "node:test";
import { DEVICES } from "./browser.js";
import { eventually } from "./eventually.js";
import { WITHOUT_DEVICE, WITHOUT_SERVER } from "./person.js";
import { Stage } from "./stage.js";

const PAIRS = 10;
const LOST = "Reconnecting… the call goes on";

// Without cameras, so that twenty are not too many for one machine.
const stage = await Stage.forThisFile({ browser: { devices: DEVICES.refused } });

/** Two tabs in a room of their own, who have a connection to each other. */
async function pair(context) {
  const room = stage.newRoom();
  const options = { room, context, expected: [...WITHOUT_SERVER, ...WITHOUT_DEVICE] };
  const ada = await stage.enter("Ada", options);
  const grace = await stage.enter("Grace", { ...options, context: ada.context });
  await Promise.all([ada.sees("Grace"), grace.sees("Ada")]);
  return [ada, grace];
}

test("twenty tabs are all back after a restart of the server", { timeout: 240_000 }, async () => {
  const pairs = [await pair()];
  const [[{ context }]] = pairs;
  while (pairs.length < PAIRS) pairs.push(await pair(context));
  const everybody = pairs.flat();

  assert.equal(await stage.server.terminate(), 0);
  for (const person of everybody) await person.page.getByText(LOST).waitFor();
  await stage.server.startAgain();
  const restarted = Date.now();
  const within = { within: 60_000 };
  await eventually(
    "everybody is back",
    async () => {
      assert.equal(await stage.server.metric("peerage_sessions"), 2 * PAIRS);
      assert.equal(await stage.server.metric("peerage_rooms"), PAIRS);
    },
    within,
  );
  console.log(`twenty tabs were back after ${Date.now() - restarted} ms`);

  for (const [ada, grace] of pairs) {
    for (const person of [ada, grace]) {
      await person.page.getByText(LOST).waitFor({ state: "detached" });
    }
    await Promise.all([ada.sees("Grace"), grace.sees("Ada")]);
    await eventually(
      "the two are connected",
      async () =>
        assert.deepEqual(
          (await ada.statistics()).map(({ state }) => state),
          ["connected"],
        ),
      within,
    );
  }
  const [[ada, grace]] = pairs;
  await ada.says("All is well.");
  await grace.reads("All is well.");
});
