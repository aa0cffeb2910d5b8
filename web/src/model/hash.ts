// The state that the address keeps: #view=flame&mode=growth&t=10-40. A verdict's sentence is a link of this form.
import type { Sentence, ViewName } from "../data";
import { MODES, type Mode } from "./flame";
import { settle } from "./brush";
import type { Model } from "./model";

export const VIEWS = ["flame", "sites", "map", "sizes", "lifetimes", "leaks", "threads", "strategies", "steps", "advice", "diff"] as const;
export type View = (typeof VIEWS)[number];

export interface State {
  view: View; mode: Mode; brush: [number, number] | null; moment: number | null; site: number | null; query: string;
  invert: boolean; merge: boolean; change: boolean; process: number | null; sort: string;
}

export const INITIAL: State = {
  view: "flame", mode: "peak", brush: null, moment: null, site: null, query: "", invert: false, merge: false, change: false, process: null, sort: "peak",
};

export function write(state: State): string {
  const out = new URLSearchParams();
  if (state.view !== INITIAL.view) out.set("view", state.view);
  if (state.mode !== INITIAL.mode) out.set("mode", state.mode);
  if (state.brush) out.set("t", state.brush.join("-"));
  if (state.moment !== null) out.set("at", String(state.moment));
  if (state.site !== null) out.set("site", String(state.site));
  if (state.query) out.set("q", state.query);
  if (state.process !== null) out.set("process", String(state.process));
  if (state.sort !== INITIAL.sort) out.set("sort", state.sort);
  for (const flag of ["invert", "merge", "change"] as const) if (state[flag]) out.set(flag, "1");
  const text = out.toString();
  return text ? `#${text}` : "#";
}

function number(text: string | null, below: number): number | null {
  const value = text === null || text === "" ? NaN : Number(text);
  return Number.isInteger(value) && value >= 0 && value < below ? value : null;
}

// Whatever stands there becomes a valid state: an address may be of another report.
export function read(hash: string, model: Model): State {
  const from = new URLSearchParams(hash.replace(/^#/, "")), state = { ...INITIAL };
  const view = from.get("view"), mode = from.get("mode"), sort = from.get("sort");
  if (VIEWS.includes(view as View)) state.view = view as View;
  if (MODES.includes(mode as Mode)) state.mode = mode as Mode;
  const [a, b] = (from.get("t") ?? "").split("-").map((part) => number(part, model.n));
  if (typeof a === "number" && typeof b === "number") state.brush = [Math.min(a, b), Math.max(a, b)];
  state.moment = number(from.get("at"), model.n);
  state.site = number(from.get("site"), model.count);
  const process = number(from.get("process"), Infinity);
  state.process = model.report.about.processes.some((one) => one.number === process) ? process : null;
  state.query = from.get("q") ?? "";
  if (sort && /^-?[a-z_]+$/.test(sort)) state.sort = sort;
  for (const flag of ["invert", "merge", "change"] as const) state[flag] = from.get(flag) === "1";
  return state;
}

// A sentence's link. What it does not name is as the page opens.
export function linkState(link: NonNullable<Sentence["link"]>, model: Model): State {
  const state = { ...INITIAL };
  const view: Partial<Record<ViewName, View>> = { timeline: "flame" };
  const wanted = view[link.view] ?? link.view;
  if (VIEWS.includes(wanted as View)) state.view = wanted as View;
  if (link.mode) {
    if (state.view === "flame" && MODES.includes(link.mode as Mode)) state.mode = link.mode as Mode;
    if (state.view === "sites" && /^-?[a-z_]+$/.test(link.mode)) state.sort = link.mode;
  }
  if (link.site != null && link.site >= 0 && link.site < model.count) state.site = link.site;
  if (link.from != null && link.to != null) {
    const from = model.interval(link.from), to = model.interval(link.to);
    if (link.from === link.to) state.moment = from; // a moment, not a time
    else state.brush = settle(from, Math.max(from, to), model.n);
  }
  return state;
}
