// The heap map: rows of addresses by intervals, and who holds a row at a moment.
import type { HeapMap } from "../data";
import { fromBase64 } from "../load";

const cells = new WeakMap<HeapMap, Uint8Array>();
export function occupancy(map: HeapMap): Uint8Array {
  let known = cells.get(map);
  if (!known) cells.set(map, (known = fromBase64(map.occupancy)));
  return known;
}

// The address that a row begins at, and its extent.
export function address(map: HeapMap, row: number): { text: string; extent: number } {
  let first = 0;
  for (let e = 0; e < map.extents.length; e++) {
    const { rows, address: begin } = map.extents[e]!;
    if (row < first + rows) return { text: `0x${(BigInt(`0x${begin.replace(/^0x/, "")}`) + BigInt(row - first) * BigInt(map.row_bytes)).toString(16)}`, extent: e };
    first += rows;
  }
  return { text: "", extent: -1 };
}

// The rows of a process; null: all.
export function rowsOf(map: HeapMap, process: number | null): number[] {
  const out: number[] = [];
  let first = 0;
  for (const extent of map.extents) {
    if (process === null || extent.process === process) for (let r = 0; r < extent.rows; r++) out.push(first + r);
    first += extent.rows;
  }
  return out;
}

// What is known of a row's owners at the last sampled moment not after `interval`, else at the first after it.
export function owners(map: HeapMap, row: number, interval: number): { interval: number; sites: number[]; bytes: number[] } | null {
  let best: HeapMap["owners"][number] | null = null;
  for (const owner of map.owners) {
    if (owner.row !== row) continue;
    const better = !best || (owner.interval <= interval ? best.interval > interval || owner.interval > best.interval : best.interval > interval && owner.interval < best.interval);
    if (better) best = owner;
  }
  return best;
}

// Who keeps pages, by place in the source: a place's stacks are one reason.
export function pins(map: HeapMap, places: number[]): HeapMap["pin"] {
  const by = new Map<number, HeapMap["pin"][number]>();
  for (const pin of map.pin) {
    const place = places[pin.site] ?? -1 - pin.site, known = by.get(place);
    if (!known) by.set(place, { ...pin });
    else { known.pages += pin.pages; known.bytes += pin.bytes; known.used += pin.used; }
  }
  return [...by.values()].filter((pin) => pin.bytes > pin.used).sort((a, b) => b.bytes - b.used - (a.bytes - a.used));
}

// How full the rows that hold anything are at a moment: [empty but had blocks, below a quarter, below three quarters, fuller].
export function fullness(map: HeapMap, rows: number[], n: number, interval: number): [number, number, number, number] {
  const all = occupancy(map), out: [number, number, number, number] = [0, 0, 0, 0];
  for (const r of rows) {
    const v = all[r * n + interval]!;
    if (v === 1) out[0]++;
    else if (v > 1) out[v - 2 < 64 ? 1 : v - 2 < 190 ? 2 : 3]++;
  }
  return out;
}
