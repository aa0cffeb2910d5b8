// Leaks by place in the source, verdict, type and path: a place's stacks are one leak.
import type { Leak } from "../data";
import type { Model } from "./model";

export type Verdict = Leak["verdict"];
export const VERDICTS: Verdict[] = ["definite", "indirect", "possible", "unknown", "thread", "reachable"];
export interface LeakRow extends Leak { sites: number[] } // site: that which lost most

export function leakRows(model: Model, leaks: Leak[]): LeakRow[] {
  const by = new Map<string, { row: LeakRow; most: number }>(), { place } = model.report.sites;
  for (const leak of leaks) {
    const key = `${leak.verdict}/${place[leak.site] ?? `s${leak.site}`}/${leak.type}/${leak.path.join("/")}/${leak.suppression}`, known = by.get(key);
    if (!known) { by.set(key, { row: { ...leak, sites: [leak.site] }, most: leak.bytes }); continue; }
    const { row } = known;
    row.blocks += leak.blocks; row.bytes += leak.bytes; row.retained += leak.retained; row.sites.push(leak.site);
    if (leak.bytes > known.most) { known.most = leak.bytes; row.site = leak.site; }
  }
  return [...by.values()].map(({ row }) => row).sort((a, b) => VERDICTS.indexOf(a.verdict) - VERDICTS.indexOf(b.verdict) || Math.max(b.retained, b.bytes) - Math.max(a.retained, a.bytes));
}

// Whether anything looked at what pointed where: without it there is only what was never freed.
export function isJudged(leaks: Leak[]): boolean { return leaks.some((leak) => leak.verdict !== "unknown"); }
