import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { BINARY } from "./server.js";
import { Stage } from "./stage.js";

const configuration = '[auth]\nmode = "token"\nsecret = "a secret of thirty-two bytes, at least"\n';
const stage = await Stage.forThisFile({ server: { configuration } });
const timeout = 90_000;

/** A token, as `peerage token` makes it. */
async function tokenFor(subject, room) {
  const config = stage.server.configurationFile;
  const flags = ["token", "--config", config, "--subject", subject, "--room", room];
  const { stdout } = await promisify(execFile)(BINARY, flags);
  return stdout.trim();
}

test("the lobby asks for the access token that the server asks for", { timeout }, async () => {
  const room = stage.newRoom();
  const ada = await stage.open("Ada", { room });
  const field = ada.page.getByLabel("Access token");
  await ada.page.getByLabel("Your name").fill("Ada");
  assert.equal(await field.count(), 0);
  await ada.button("Join").click();
  await ada.page.getByRole("alert").getByText("access token").waitFor();
  await field.fill(await tokenFor("ada", "another-room"));
  await ada.button("Join").click();
  await ada.page.getByText("Your access token is not for this call.").waitFor();
  await field.fill(await tokenFor("ada", room));
  await ada.button("Join").click();
  await ada.isInCall();
});

test("a link brings a token, which then is in no address", { timeout }, async () => {
  const room = stage.newRoom();
  const [adas, graces] = await Promise.all(["ada", "grace"].map((who) => tokenFor(who, room)));
  const ada = await stage.open("Ada", { room: `${room}&token=${adas}` });
  const asked = [];
  ada.page.on("request", (request) => asked.push(request.url()));
  ada.page.on("websocket", (socket) => asked.push(socket.url()));
  assert.equal(ada.page.url(), `${stage.server.url}/#${room}`);
  await ada.join();
  const grace = await stage.enter("Grace", { room: `${room}&token=${graces}` });
  await Promise.all([ada.sees("Grace"), grace.sees("Ada")]);
  await ada.receivesMedia();
  assert.ok(asked.length > 0);
  assert.deepEqual(
    asked.filter((url) => url.includes(adas)),
    [],
  );
  const kept = await ada.page.evaluate(() => JSON.stringify({ ...localStorage }));
  assert.ok(!kept.includes(adas));
  assert.ok(!stage.server.log.includes(adas));
});

test("a link that is pasted at the start brings its token, too", { timeout }, async () => {
  const room = stage.newRoom();
  const ada = await stage.open("Ada", {});
  const token = await tokenFor("ada", room);
  await ada.page.getByLabel("Link to a call").fill(`${stage.server.url}/#${room}&token=${token}`);
  await ada.button("Open").click();
  await ada.join();
  assert.equal(ada.page.url(), `${stage.server.url}/#${room}`);
});
