import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { writeCamera } from "./camera.js";

const EXECUTABLE = process.env.CHROMIUM ?? "/usr/bin/chromium";
const QUIET = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const SMALL = { width: 320, height: 180, fps: 15 };

/** How the browser's camera and microphone behave. */
export const DEVICES = {
  /** There, and permitted. */
  granted: ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
  /** There, but the person says no. */
  refused: ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream=deny"],
  /** A microphone only. */
  noCamera: ["--use-fake-device-for-media-stream=device-count=0", "--use-fake-ui-for-media-stream"],
};

/**
 * Starts Chromium, in the network namespace `space` if there is one; `close` also removes what it
 * left behind.
 */
export async function startBrowser({
  devices = DEVICES.granted,
  camera = SMALL,
  space,
  flags = [],
} = {}) {
  if (!existsSync(EXECUTABLE)) {
    throw new Error(`${EXECUTABLE} is missing: install chromium, or name it in CHROMIUM`);
  }
  const folder = await mkdtemp(join(tmpdir(), "peerage-suite-"));
  const film = join(folder, "camera.y4m");
  const filmed = devices === DEVICES.granted ? [`--use-file-for-fake-video-capture=${film}`] : [];
  if (filmed.length > 0) await writeCamera(film, camera);
  const browser = await chromium.launch({
    executablePath: space ? await entrance(space, folder) : EXECUTABLE,
    chromiumSandbox: false,
    args: [...QUIET, ...devices, ...filmed, ...flags],
  });
  browser.once("disconnected", () => void rm(folder, { recursive: true, force: true }));
  return browser;
}

/** A program that starts Chromium in a network namespace. */
async function entrance(space, folder) {
  const path = join(folder, "chromium");
  const script = `#!/bin/sh\nexec ip netns exec ${space} ${EXECUTABLE} "$@"\n`;
  await writeFile(path, script, { mode: 0o755 });
  return path;
}
