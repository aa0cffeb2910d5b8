// Strategies at a moment, and the short trace placed step by step.
import type { Steps, Strategies, Strategy } from "../data";
import type { Model, Range } from "./model";

// The moments as times of the page; null where ops have no course of time (those of several processes stand one after another).
export function momentTimes(all: Strategies, model: Model): number[] | null {
  return all.moment_times ?? (model.timed ? null : all.moments);
}

// The moment at which most is live.
export function fullest(all: Strategies): number {
  let at = 0;
  all.live.forEach((bytes, k) => { if (bytes > all.live[at]!) at = k; });
  return at;
}

// The moment that lies at or next after an interval's end; without times the fullest.
export function momentOf(all: Strategies, model: Model, interval: number): number {
  const times = momentTimes(all, model);
  if (!times?.length) return fullest(all);
  const end = model.end(interval);
  let low = 0, high = times.length - 1;
  while (low < high) {
    const mid = (low + high) >> 1;
    if (times[mid]! < end) low = mid + 1; else high = mid;
  }
  return Math.max(0, low);
}

export function momentRange(all: Strategies, model: Model, range: Range): [number, number] {
  if (model.isWhole(range) || !momentTimes(all, model)) return [0, all.moments.length - 1];
  const to = momentOf(all, model, range[1]);
  return [Math.min(momentOf(all, model, range[0]), to), to];
}

// What it costs at its worst: what it held, and its bookkeeping beside that where most is live. The command ranks by the same.
export function footprint(all: Strategies, one: Strategy): number {
  return one.peak_held + (one.metadata[fullest(all)] ?? 0);
}

export interface Now { live: number; held: number; used: number; inner: number; outer: number; metadata: number; hole: number }
// inner: slack and headers; outer: holes. A real malloc does not say where its blocks lie: there both are one (outer).
export function at(all: Strategies, one: Strategy, k: number): Now {
  const live = all.live[k] ?? 0, held = one.held[k] ?? 0, used = one.real ? 0 : one.used[k] ?? 0;
  return { live, held, used, inner: one.real ? 0 : Math.max(0, used - live), outer: Math.max(0, held - (one.real ? live : Math.max(used, live))), metadata: one.metadata[k] ?? 0, hole: one.largest_hole[k] ?? 0 };
}

export interface Placed { block: number; start: number; size: number; since: number }
export interface Layout { blocks: Placed[]; end: number; touched: Set<number>; freed: { start: number; size: number } | null }

// Where one strategy has the blocks after op `i`; `touched` are those that this op placed or moved.
export function layoutAt(strategy: Steps["strategies"][number], i: number): Layout {
  const now = new Map<number, Placed>(), touched = new Set<number>();
  let freed: Layout["freed"] = null, end = 0;
  for (let e = 0; e < strategy.op.length && strategy.op[e]! <= i; e++) {
    const block = strategy.block[e]!, start = strategy.start[e]!, size = strategy.size[e]!, op = strategy.op[e]!;
    const was = now.get(block);
    if (op === i && was && (size === 0 || was.start !== start)) freed = { start: was.start, size: was.size };
    if (size === 0) now.delete(block);
    else {
      now.set(block, { block, start, size, since: op });
      if (op === i) touched.add(block);
      end = Math.max(end, start + size);
    }
  }
  const blocks = [...now.values()].sort((a, b) => a.start - b.start);
  return { blocks, end, touched, freed };
}

// The range that all strategies' pictures share: all that any of them ever uses.
export function extent(steps: Steps): { from: number; to: number }[] {
  return steps.strategies.map((strategy) => {
    let from = Infinity, to = 0;
    for (let e = 0; e < strategy.op.length; e++) {
      if (!strategy.size[e]) continue;
      from = Math.min(from, strategy.start[e]!);
      to = Math.max(to, strategy.start[e]! + strategy.size[e]!);
    }
    return { from: Number.isFinite(from) ? from : 0, to };
  });
}
