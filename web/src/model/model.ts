// The report with what every view asks of it: names, paths, figures over a part of the time.
import type { Report } from "../data";
import { shorten } from "./format";

export type Range = readonly [number, number]; // intervals, both included

export interface Figures { // of each site in a range
  allocs: Float64Array; bytes: Float64Array; temporary: Float64Array;
  before: Float64Array; // held where the range begins
  after: Float64Array; after_blocks: Float64Array; // held where it ends
  peak: Float64Array; // held at the fullest moment of the range
  peak_at: number; // the interval of that moment
}

export class Model {
  readonly n: number; // intervals
  readonly count: number; // sites
  readonly whole: Range;
  readonly key: Int32Array; // of a frame: frames of one function in one module have one key
  readonly keys: number;
  private readonly names: (string | undefined)[] = [];
  // Of the series' entries: [e] is the sum of those before e, so that a range is two looks whatever its length.
  private readonly sums: { allocs: Float64Array; bytes: Float64Array; temporary: Float64Array };
  private last: { range: Range; figures: Figures } | undefined;

  constructor(readonly report: Report) {
    this.n = report.times.length;
    this.count = report.sites.node.length;
    this.whole = [0, Math.max(0, this.n - 1)];
    const { function: fn, module } = report.frames, ids = new Map<number, number>();
    this.key = new Int32Array(fn.length);
    for (let f = 0; f < fn.length; f++) {
      const id = fn[f]! * 65536 + module[f]!;
      let k = ids.get(id);
      if (k === undefined) ids.set(id, (k = ids.size));
      this.key[f] = k;
    }
    this.keys = ids.size;
    const before = (values: number[]) => {
      const out = new Float64Array(values.length + 1);
      for (let e = 0; e < values.length; e++) out[e + 1] = out[e]! + values[e]!;
      return out;
    };
    const { allocs, bytes, temporary } = report.site_series;
    this.sums = { allocs: before(allocs), bytes: before(bytes), temporary: before(temporary) };
  }

  get timed(): boolean { return this.report.about.timed; }
  start(interval: number): number { return interval === 0 ? this.report.about.begin : this.report.times[interval - 1]!; }
  end(interval: number): number { return this.report.times[interval] ?? this.report.about.end; }
  // The interval that a time falls into.
  interval(t: number): number {
    let low = 0, high = this.n - 1;
    while (low < high) {
      const mid = (low + high) >> 1;
      if (this.report.times[mid]! < t) low = mid + 1; else high = mid;
    }
    return Math.max(0, low);
  }

  text(index: number): string { return this.report.strings[index] ?? ""; }
  frameName(f: number): string {
    const { function: fn, module } = this.report.frames;
    return this.text(fn[f]!) || (module[f] ? `${this.moduleName(f)}, no symbol` : "unknown");
  }
  frameShort(f: number): string { return (this.names[f] ??= shorten(this.frameName(f))); }
  moduleName(f: number): string { return this.text(this.report.frames.module[f]!).replace(/^.*\//, ""); }
  where(f: number): string {
    const { file, line } = this.report.frames, name = this.text(file[f]!).replace(/^.*\//, "");
    return name === "" ? this.moduleName(f) : line[f] ? `${name}:${line[f]}` : name;
  }
  file(f: number): string {
    const { file, line } = this.report.frames, name = this.text(file[f]!);
    return name === "" ? "" : line[f] ? `${name}:${line[f]}` : name;
  }
  siteName(s: number): string {
    const place = this.report.sites.place[s];
    return place === undefined ? "unknown" : place === 0 ? this.report.about.has_stacks ? "unknown" : "the whole program" : this.frameShort(place);
  }
  siteWhere(s: number): string { return this.where(this.report.sites.place[s] ?? 0); }
  // The frames of a node, the allocation first.
  path(node: number): number[] {
    const { parent, frame } = this.report.stacks, out: number[] = [];
    for (let at = node; at > 0; at = parent[at]!) out.push(frame[at]!);
    return out;
  }

  // The interval at whose end most was live: what sites held is known at such ends.
  fullest(range: Range): number {
    const { live } = this.report.timeline;
    let at = range[0];
    for (let i = range[0]; i <= range[1]; i++) if (live[i]! > live[at]!) at = i;
    return at;
  }
  isWhole(range: Range): boolean { return range[0] <= 0 && range[1] >= this.n - 1; }

  figures(range: Range): Figures {
    if (this.last && this.last.range[0] === range[0] && this.last.range[1] === range[1]) return this.last.figures;
    const { sites, site_series: series } = this.report, peak_at = this.fullest(range), [from, to] = range;
    const column = () => new Float64Array(this.count);
    const out: Figures = { allocs: column(), bytes: column(), temporary: column(), before: column(), after: column(), after_blocks: column(), peak: column(), peak_at };
    const { allocs, bytes, temporary } = this.sums;
    for (let s = 0; s < this.count; s++) {
      const first = series.start[s]!, end = series.start[s + 1]!;
      const low = this.entry(first, end, from), high = this.entry(low, end, to + 1), full = this.entry(low, high, peak_at + 1);
      out.allocs[s] = allocs[high]! - allocs[low]!;
      out.bytes[s] = bytes[high]! - bytes[low]!;
      out.temporary[s] = temporary[high]! - temporary[low]!;
      if (low > first) out.before[s] = series.live[low - 1]!;
      if (full > first) out.peak[s] = series.live[full - 1]!;
      if (high > first) {
        out.after[s] = series.live[high - 1]!;
        out.after_blocks[s] = series.live_blocks[high - 1]!;
      }
    }
    if (this.isWhole(range)) { // then they are known exactly, not by an interval's end
      out.peak.set(sites.peak_bytes); out.allocs.set(sites.allocs); out.bytes.set(sites.bytes); out.temporary.set(sites.temporary);
      out.after.set(sites.left_bytes); out.after_blocks.set(sites.left_blocks);
    }
    this.last = { range: [from, to], figures: out };
    return out;
  }

  // The first of the entries low .. high-1 whose interval is not below `interval`; high: there is none.
  private entry(low: number, high: number, interval: number): number {
    const at = this.report.site_series.interval;
    while (low < high) {
      const mid = (low + high) >> 1;
      if (at[mid]! < interval) low = mid + 1; else high = mid;
    }
    return low;
  }

  // What a site held over time, for a small curve.
  curve(s: number): Float64Array {
    const { site_series: series } = this.report, out = new Float64Array(this.n);
    let held = 0, e = series.start[s]!;
    for (let i = 0; i < this.n; i++) {
      while (e < series.start[s + 1]! && series.interval[e]! <= i) held = series.live[e++]!;
      out[i] = held;
    }
    return out;
  }
}
