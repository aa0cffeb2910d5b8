// The table of sites: rows by place in the source or by whole stack, their columns, filter and order.
import { bytes, count, duration, exact, percent, span } from "./format";
import type { Figures, Model, Range } from "./model";

export interface Row {
  key: number; sites: number[]; // the heaviest first
  name: string; where: string;
  peak: number; after: number; after_blocks: number; growth: number; allocs: number; bytes: number; temporary: number; slack: number;
  life: number; reallocs: number; moved: number; own: number; pinned: number; lost: number; threads: number; oldest: number;
}
export type Column = Exclude<keyof Row, "key" | "sites" | "where">;

export const COLUMNS: { id: Column; title: string; says: string; show: (row: Row, model: Model) => string; wide?: boolean }[] = [
  { id: "peak", title: "Peak", says: "bytes held at the selection's fullest moment", show: (r) => bytes(r.peak) },
  { id: "after", title: "At end", says: "bytes held where the selection ends", show: (r) => bytes(r.after) },
  { id: "growth", title: "Growth", says: "held at the end less held at the begin", show: (r) => (r.growth > 0 ? "+" : "") + bytes(r.growth) },
  { id: "lost", title: "Lost", says: "bytes that nothing points to at the end of the run", show: (r) => (r.lost ? bytes(r.lost) : "–") },
  { id: "allocs", title: "Allocations", says: "in the selection", show: (r) => count(r.allocs) },
  { id: "bytes", title: "Bytes", says: "allocated in the selection", show: (r) => bytes(r.bytes) },
  { id: "temporary", title: "Temporary", says: "of the allocations, those that lived only briefly", show: (r) => percent(r.temporary, r.allocs) },
  { id: "life", title: "Mean life", says: "of the blocks that died, in the whole run", show: (r, m) => (r.life ? span(r.life, m.timed) : "–"), wide: true },
  { id: "slack", title: "Slack", says: "bytes that rounding up adds, in the whole run", show: (r) => bytes(r.slack), wide: true },
  { id: "reallocs", title: "Resizes", says: "in the whole run, and bytes they moved", show: (r) => (r.reallocs ? `${count(r.reallocs)}` : "–"), wide: true },
  { id: "own", title: "Own frees", says: "frees by the thread that allocated", show: (r) => (Number.isNaN(r.own) ? "–" : percent(r.own, 1)), wide: true },
  { id: "pinned", title: "Pinned", says: "bytes of pages that its blocks keep, beyond what they use", show: (r) => (r.pinned ? bytes(r.pinned) : "–"), wide: true },
];

// Columns that say nothing for this report stay away.
export function columns(model: Model): typeof COLUMNS {
  const { sites, threads } = model.report, any = (values: number[]) => values.some((v) => v > 0);
  const without: Partial<Record<Column, boolean>> = { lost: !any(sites.lost_bytes), reallocs: !any(sites.reallocs), pinned: !any(sites.pinned), own: (threads?.number.length ?? 2) < 2, life: !any(sites.life_mean) };
  return COLUMNS.filter((column) => !without[column.id]);
}

// The rows with what does not depend on the selection; kept, as only the rest changes while a brush moves.
let kept: { model: Model; by: string; process: number | null; rows: Row[] } | undefined;
function frame(model: Model, by: "place" | "stack", process: number | null): Row[] {
  if (kept?.model === model && kept.by === by && kept.process === process) return kept.rows;
  const { sites } = model.report, grouped = new Map<number, Row>();
  for (let s = 0; s < model.count; s++) {
    if (process !== null && sites.process[s] !== process) continue;
    const key = by === "stack" ? s : sites.place[s]!;
    let row = grouped.get(key);
    if (!row) grouped.set(key, (row = { key, sites: [], name: model.siteName(s), where: model.siteWhere(s), peak: 0, after: 0, after_blocks: 0, growth: 0, allocs: 0, bytes: 0, temporary: 0, slack: 0, life: 0, reallocs: 0, moved: 0, own: 0, pinned: 0, lost: 0, threads: 0, oldest: 0 }));
    row.sites.push(s);
    row.slack += sites.slack[s]!; row.reallocs += sites.reallocs[s]!; row.moved += sites.moved[s]!; row.pinned += sites.pinned[s]!; row.lost += sites.lost_bytes[s]!;
    row.life += sites.life_mean[s]! * sites.frees[s]!; row.own += sites.same_thread[s]!;
    row.threads = Math.max(row.threads, sites.threads[s]!); row.oldest = Math.max(row.oldest, sites.oldest[s]!);
  }
  for (const row of grouped.values()) {
    const frees = row.sites.reduce((sum, s) => sum + sites.frees[s]!, 0);
    row.life = frees ? row.life / frees : 0;
    row.own = frees ? row.own / frees : NaN;
    row.sites.sort((a, b) => sites.peak_bytes[b]! - sites.peak_bytes[a]! || sites.bytes[b]! - sites.bytes[a]!);
  }
  kept = { model, by, process, rows: [...grouped.values()] };
  return kept.rows;
}

export function rows(model: Model, range: Range, by: "place" | "stack", process: number | null): Row[] {
  const f: Figures = model.figures(range);
  return frame(model, by, process).map((row) => {
    const now = { ...row };
    for (const s of row.sites) {
      now.peak += f.peak[s]!; now.after += f.after[s]!; now.after_blocks += f.after_blocks[s]!; now.growth += f.after[s]! - f.before[s]!;
      now.allocs += f.allocs[s]!; now.bytes += f.bytes[s]!; now.temporary += f.temporary[s]!;
    }
    return now;
  });
}

// Words of the filter are all looked for in a stack; "-word" are those that must not be there. One pass over frames and nodes for a
// query, so that a site's answer is ready while a brush moves.
let matched: { model: Model; query: string; has: Uint8Array[]; not: boolean[] } | undefined;
function match(model: Model, query: string): NonNullable<typeof matched> {
  if (matched?.model === model && matched.query === query) return matched;
  const words = query.toLowerCase().split(/\s+/).filter(Boolean), { stacks, frames } = model.report;
  const not = words.map((word) => word.length > 1 && word[0] === "-");
  const texts = frames.function.map((_, f) => `${model.frameName(f)} ${model.where(f)} ${model.moduleName(f)}`.toLowerCase());
  const has = words.map((word, w) => {
    const plain = not[w] ? word.slice(1) : word, frame = texts.map((text) => text.includes(plain)), node = new Uint8Array(stacks.parent.length);
    for (let v = 0; v < node.length; v++) node[v] = (v && node[stacks.parent[v]!]) || (v && frame[stacks.frame[v]!]) ? 1 : 0;
    return node;
  });
  return (matched = { model, query, has, not });
}

export function filter(list: Row[], query: string, model: Model): Row[] {
  if (!query.trim()) return list;
  const { has, not } = match(model, query), { node } = model.report.sites;
  return list.filter((row) => has.every((of, w) => row.sites.some((s) => of[node[s]!]) !== not[w]));
}

export function sort(list: Row[], order: string): Row[] {
  const up = order.startsWith("-"), id = order.replace(/^-/, "") as Column;
  const value = (row: Row) => (id === "temporary" ? row.temporary / Math.max(1, row.allocs) * Math.min(1, row.allocs / 100) : Number(row[id]) || 0);
  const sorted = id === "name" ? list.slice().sort((a, b) => a.name.localeCompare(b.name)) : list.slice().sort((a, b) => value(b) - value(a) || b.bytes - a.bytes);
  return up ? sorted.reverse() : sorted;
}

export function asText(list: Row[], model: Model): string {
  const head = ["place", "file", ...COLUMNS.map((column) => column.title.toLowerCase())];
  const lines = list.map((row) => [row.name, row.where, ...COLUMNS.map((column) => column.show(row, model))]);
  const wide = head.map((title, i) => Math.max(title.length, ...lines.map((line) => line[i]!.length)));
  return [head, ...lines].map((line) => line.map((cell, i) => (i < 2 ? cell.padEnd(wide[i]!) : cell.padStart(wide[i]!))).join("  ").trimEnd()).join("\n");
}

export function siteFacts(model: Model, s: number, range: Range): [string, string][] {
  const { sites } = model.report, f = model.figures(range);
  const facts: [string, string][] = [
    ["Held at the fullest moment", bytes(f.peak[s]!)], ["Held at the end", `${bytes(f.after[s]!)} in ${exact(f.after_blocks[s]!)}`], ["Most it ever held", bytes(sites.own_peak[s]!)],
    ["Allocations", exact(f.allocs[s]!)], ["Bytes allocated", bytes(f.bytes[s]!)], ["Temporary", percent(f.temporary[s]!, f.allocs[s]!)],
  ];
  if (sites.life_mean[s]) facts.push(["Lifetime", `${span(sites.life_mean[s]!, model.timed)} ± ${model.timed ? duration(sites.life_sigma[s]!) : count(sites.life_sigma[s]!)}`], ["Freed by its own thread", percent(sites.same_thread[s]!, sites.frees[s]!)]);
  if (sites.reallocs[s]) facts.push(["Resized", `${exact(sites.reallocs[s]!)} times, ${bytes(sites.moved[s]!)} moved`]);
  if (sites.threads[s]! > 1) facts.push(["Threads", exact(sites.threads[s]!)]);
  if (sites.slack[s]) facts.push(["Slack", bytes(sites.slack[s]!)]);
  if (sites.pinned[s]) facts.push(["Pages kept beyond use", bytes(sites.pinned[s]!)]);
  if (sites.lost_bytes[s]) facts.push(["Lost", bytes(sites.lost_bytes[s]!)]);
  if (sites.oldest[s]) facts.push(["Its oldest block", span(sites.oldest[s]!, model.timed)]);
  return facts;
}
