import assert from "node:assert/strict";
import { test } from "node:test";
import { Stage } from "./stage.js";

const stage = await Stage.forThisFile();
const timeout = 90_000;

/** Keeps everything that a tab sends to the server. */
function listen(page, sent) {
  page.on("request", (request) => {
    sent.push(request.url(), JSON.stringify(request.headers()), request.postData() ?? "");
  });
  page.on("websocket", (socket) => {
    sent.push(socket.url());
    socket.on("framesent", ({ payload }) => sent.push(String(payload)));
  });
}

test("the server sees neither the key nor what it seals", { timeout }, async () => {
  const sent = [];
  const ada = await stage.open("Ada Lovelace", {});
  listen(ada.page, sent);
  await ada.button("Start a call").click();
  const room = new URL(ada.page.url()).hash.slice(1);
  const [name, key] = room.split(":");
  assert.match(key, /^[A-Za-z0-9_-]{22}$/);
  await ada.join();
  const link = await ada.page.getByLabel("Link to this call").inputValue();
  assert.equal(link, `${stage.server.url}/#${room}`);

  const grace = await stage.open("Grace Hopper", { room });
  listen(grace.page, sent);
  await grace.join();
  await Promise.all([ada.sees("Grace Hopper"), grace.sees("Ada Lovelace")]);
  await Promise.all([ada.receivesMedia(), grace.receivesMedia()]);
  await ada.says("Who else reads this?");
  await grace.reads("Who else reads this?");
  // What the members say of themselves goes by way of the server.
  await ada.button("Microphone").click();
  await grace.tile("Ada Lovelace").getByRole("img", { name: "Muted" }).waitFor();

  const everything = sent.join("\n");
  assert.match(everything, /"type":"offer"/);
  assert.match(everything, /"type":"update"/);
  // Each has a character that sealed text has not, or is too long to stand in it by chance.
  const people = ["Ada Lovelace", "Grace Hopper"];
  const said = ["fingerprint", "candidate:", "ice-ufrag", "Who else reads this?"];
  for (const secret of [key, name, ...people, ...said]) {
    assert.ok(!everything.includes(secret), `${secret} was sent to the server`);
    assert.ok(!stage.server.log.includes(secret), `${secret} is in the server's log`);
  }
});

test("whoever has another key or none is in another room", { timeout }, async () => {
  const key = "wq3xR0b2Yk9uPz5sLd7TgA";
  const name = stage.newRoom();
  const [ada, eve, mallory] = await Promise.all([
    stage.enter("Ada", { room: `${name}:${key}` }),
    stage.enter("Eve", { room: `${name}:${key.replace("w", "W")}` }),
    stage.enter("Mallory", { room: name }),
  ]);
  const grace = await stage.enter("Grace", { room: `${name}:${key}` });
  await Promise.all([ada.sees("Grace"), grace.sees("Ada")]);
  await ada.receivesMedia();
  for (const stranger of [eve, mallory]) {
    assert.equal(await stranger.people.getByRole("listitem").count(), 1, stranger.name);
    assert.equal(await stranger.connectionsMade(), 0, stranger.name);
  }
  assert.equal(await ada.connectionsMade(), 1);
});
