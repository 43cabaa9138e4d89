import { writeFile } from "node:fs/promises";

const FRAMES = 30;

/**
 * Writes a film that Chromium plays as a camera: somebody who sways before a wall, small enough
 * for several calls on two cores.
 */
export async function writeCamera(path, { width, height, fps }) {
  const frames = Array.from({ length: FRAMES }, (_, index) =>
    Buffer.concat([Buffer.from("FRAME\n"), frame(width, height, index / FRAMES)]),
  );
  const header = Buffer.from(`YUV4MPEG2 W${width} H${height} F${fps}:1 Ip A1:1 C420jpeg\n`);
  await writeFile(path, Buffer.concat([header, ...frames]));
}

/** One picture in planar 4:2:0, at `time` from 0 to 1. */
function frame(width, height, time) {
  const luma = Buffer.alloc(width * height);
  const blue = Buffer.alloc((width * height) / 4);
  const red = Buffer.alloc((width * height) / 4);
  const sway = 0.12 * Math.sin(2 * Math.PI * time);
  for (let row = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1) {
      const x = (column / width - 0.5) * (width / height);
      const y = row / height - 0.5;
      const [light, u, v] = colour(x, y, sway);
      luma[row * width + column] = light;
      if (row % 2 || column % 2) continue;
      const place = (row / 2) * (width / 2) + column / 2;
      blue[place] = u;
      red[place] = v;
    }
  }
  return Buffer.concat([luma, blue, red]);
}

function colour(x, y, sway) {
  const head = ((x - sway) / 0.15) ** 2 + ((y + 0.08) / 0.2) ** 2 < 1;
  if (head) return [176, 112, 150];
  const shoulders = ((x - sway / 2) / 0.4) ** 2 + ((y - 0.52) / 0.38) ** 2 < 1;
  if (shoulders) return [84, 146, 112];
  return [120 - Math.round(60 * (y + 0.5)), 122, 134];
}
