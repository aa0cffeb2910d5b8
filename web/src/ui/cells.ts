// Cells of amounts as a picture of a pixel each, to be drawn large: many cells cost one drawing.
import { amounts, token } from "./colours";

// 0 is transparent, 1 is of the colour `one` (a token's name), 2 .. 255 of the ramp.
export function picture(columns: number, rows: number, one: string, at: (row: number, column: number) => number): HTMLCanvasElement {
  const image = new ImageData(columns, rows), ramp = amounts(), pixels = image.data;
  const plain = token(one).match(/[\d.]+/g)!.map(Number);
  for (let r = 0, p = 0; r < rows; r++)
    for (let i = 0; i < columns; i++, p += 4) {
      const v = at(r, i);
      if (v === 0) continue;
      const [red, green, blue] = v === 1 ? plain : ramp[v]!;
      pixels[p] = red!; pixels[p + 1] = green!; pixels[p + 2] = blue!; pixels[p + 3] = 255;
    }
  const canvas = document.createElement("canvas");
  canvas.width = columns; canvas.height = rows;
  canvas.getContext("2d")!.putImageData(image, 0, 0);
  return canvas;
}
