export interface TileSize {
  readonly columns: number;
  readonly width: number;
  readonly height: number;
}

/** Faces are well served by anything between a phone held upright and a television. */
const NARROWEST = 1 / 2;
const WIDEST = 16 / 9;
/** The shape by which arrangements are compared. */
const IDEAL = 4 / 3;

/** The arrangement of `count` tiles that shows most of them. */
export function arrange(count: number, width: number, height: number, gap: number): TileSize {
  let best: TileSize = { columns: 1, width: 0, height: 0 };
  let bestArea = -1;
  for (let columns = 1; columns <= Math.max(1, count); columns += 1) {
    const rows = Math.ceil(count / columns);
    const cellWidth = Math.max(0, (width - gap * (columns - 1)) / columns);
    const cellHeight = Math.max(0, (height - gap * (rows - 1)) / rows);
    const shown = Math.min(cellWidth, cellHeight * IDEAL);
    const area = (shown * shown) / IDEAL;
    if (area <= bestArea) continue;
    bestArea = area;
    best = { columns, ...clampShape(cellWidth, cellHeight) };
  }
  return best;
}

function clampShape(width: number, height: number): Pick<TileSize, "width" | "height"> {
  return {
    width: Math.floor(Math.min(width, height * WIDEST)),
    height: Math.floor(Math.min(height, width / NARROWEST)),
  };
}
