// Sums over a selection of what comes sparse by interval: sizes, lifetimes, threads.
import type { Model, Range } from "./model";

export interface Bin { bin: number; allocs: number; bytes: number; slack: number }

export function sizeBins(model: Model, [from, to]: Range): Bin[] {
  const { interval, bin, allocs, bytes, slack } = model.report.sizes.bins, out = new Map<number, Bin>();
  for (let e = 0; e < interval.length; e++) {
    if (interval[e]! < from || interval[e]! > to) continue;
    let at = out.get(bin[e]!);
    if (!at) out.set(bin[e]!, (at = { bin: bin[e]!, allocs: 0, bytes: 0, slack: 0 }));
    at.allocs += allocs[e]!; at.bytes += bytes[e]!; at.slack += slack[e]!;
  }
  if (!out.size) return [];
  const low = Math.min(...out.keys()), high = Math.max(...out.keys());
  return Array.from({ length: high - low + 1 }, (_, i) => out.get(low + i) ?? { bin: low + i, allocs: 0, bytes: 0, slack: 0 });
}

export interface Cell { size: number; life: number; blocks: number; bytes: number }
export interface Lives { cells: Map<number, Cell>; sizes: [number, number]; lives: [number, number]; most: { blocks: number; bytes: number }; blocks: number }
export const cellKey = (size: number, life: number) => size * 256 + life;

// The axes are those of the whole time, so that the picture stands still while the selection moves.
export function lifeCells(model: Model, [from, to]: Range): Lives {
  const { interval, size, life, blocks, bytes } = model.report.lifetimes, cells = new Map<number, Cell>();
  const out: Lives = { cells, sizes: [Infinity, -Infinity], lives: [Infinity, -Infinity], most: { blocks: 0, bytes: 0 }, blocks: 0 };
  for (let e = 0; e < interval.length; e++) {
    const s = size[e]!, l = life[e]!;
    if (s < out.sizes[0]) out.sizes[0] = s;
    if (s > out.sizes[1]) out.sizes[1] = s;
    if (l < out.lives[0]) out.lives[0] = l;
    if (l > out.lives[1]) out.lives[1] = l;
    if (interval[e]! < from || interval[e]! > to) continue;
    let cell = cells.get(cellKey(s, l));
    if (!cell) cells.set(cellKey(s, l), (cell = { size: s, life: l, blocks: 0, bytes: 0 }));
    cell.blocks += blocks[e]!; cell.bytes += bytes[e]!;
    out.blocks += blocks[e]!;
  }
  for (const cell of cells.values()) {
    out.most.blocks = Math.max(out.most.blocks, cell.blocks);
    out.most.bytes = Math.max(out.most.bytes, cell.bytes);
  }
  return out;
}

export interface ThreadSums { allocs: Float64Array; frees: Float64Array; busy: Float64Array[] } // busy: allocations by thread, then interval

export function threadSums(model: Model, [from, to]: Range): ThreadSums {
  const threads = model.report.threads!, count = threads.number.length, { thread, interval, allocs, frees } = threads.series;
  const out: ThreadSums = { allocs: new Float64Array(count), frees: new Float64Array(count), busy: Array.from({ length: count }, () => new Float64Array(model.n)) };
  for (let e = 0; e < thread.length; e++) {
    const t = thread[e]!, i = interval[e]!;
    out.busy[t]![i] = allocs[e]!;
    if (i < from || i > to) continue;
    out.allocs[t]! += allocs[e]!;
    out.frees[t]! += frees[e]!;
  }
  if (model.isWhole([from, to])) { out.allocs.set(threads.allocs); out.frees.set(threads.frees); }
  return out;
}
