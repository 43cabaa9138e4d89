export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface TileSize extends Size {
  readonly columns: number;
}

/** Cameras give pictures of these shapes and of those between. */
const NARROWEST = 4 / 3;
const WIDEST = 16 / 9;

/** In a call of two, how much of the width one's own tile takes. */
const CORNER_SHARE = 0.22;
const CORNER_SHARE_UPRIGHT = 0.3;
/** How much of the height it takes at most. */
const CORNER_HEIGHT = 0.3;

/** By how much a picture and its frame may differ in shape before the picture is not cropped. */
const MOST_CROPPED = 1.4;

/** The arrangement of `count` tiles that makes them largest. */
export function arrange(count: number, width: number, height: number, gap: number): TileSize {
  let best: TileSize = { columns: 1, width: 0, height: 0 };
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const cellWidth = Math.max(0, (width - gap * (columns - 1)) / columns);
    const cellHeight = Math.max(0, (height - gap * (rows - 1)) / rows);
    const tile = {
      columns,
      width: Math.floor(Math.min(cellWidth, cellHeight * WIDEST)),
      height: Math.floor(Math.min(cellHeight, cellWidth / NARROWEST)),
    };
    if (tile.width * tile.height > best.width * best.height) best = tile;
  }
  return best;
}

/** The size of one's own tile in the corner of `stage`, in the shape of its picture. */
export function cornerTile(stage: Size, aspect = WIDEST): Size {
  const share = stage.width < stage.height ? CORNER_SHARE_UPRIGHT : CORNER_SHARE;
  const height = Math.min((stage.width * share) / aspect, stage.height * CORNER_HEIGHT);
  return { width: Math.round(height * aspect), height: Math.round(height) };
}

/** Whether a picture that fills a frame of this size would lose too much of itself. */
export function cropsTooMuch(aspect: number | undefined, { width, height }: Size): boolean {
  if (aspect === undefined || height === 0) return false;
  const ratio = (aspect * height) / width;
  return Math.max(ratio, 1 / ratio) > MOST_CROPPED;
}
