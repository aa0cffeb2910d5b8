// What all views share: the report, the state that the address keeps, and what follows from both.
import { computed, effect, signal } from "@preact/signals";
import type { Report } from "./data";
import { INITIAL, read, write, type State } from "./model/hash";
import { Model, type Figures, type Range } from "./model/model";

export const model = signal<Model>(null as unknown as Model); // set once, before anything is drawn
export const state = signal<State>(INITIAL);
export const theme = signal<"light" | "dark" | null>(null); // null: as the system is
export const help = signal(false);
export const dark = signal(false); // what theme comes to

// Parts of the state of their own, so that what depends on them is not made anew while the brush moves.
export const view = computed(() => state.value.view);
export const site = computed(() => state.value.site);
export const query = computed(() => state.value.query);
export const process = computed(() => state.value.process);
export const mode = computed(() => state.value.mode);
export const invert = computed(() => state.value.invert);
export const merge = computed(() => state.value.merge);
export const order = computed(() => state.value.sort);

export const range = computed<Range>(() => state.value.brush ?? model.value.whole);
export const whole = computed(() => model.value.isWhole(range.value));
export const figures = computed<Figures>(() => model.value.figures(range.value));
// The moment that "at a moment" means: the chosen one, else the fullest of the selection.
export const moment = computed(() => {
  const chosen = state.value.moment;
  return chosen === null ? model.value.fullest(range.value) : chosen;
});

export function set(change: Partial<State>): void { state.value = { ...state.peek(), ...change }; }

// Changes that come faster than frames are drawn (a moving brush) are drawn once a frame.
let pending: Partial<State> | null = null;
export function setSoon(change: Partial<State>): void {
  if (pending) { Object.assign(pending, change); return; }
  pending = { ...change };
  requestAnimationFrame(() => {
    const now = pending!;
    pending = null;
    set(now);
  });
}

const system = typeof matchMedia === "function" ? matchMedia("(prefers-color-scheme: dark)") : null;
function follow(): void {
  dark.value = theme.value === null ? (system?.matches ?? false) : theme.value === "dark";
}

// A page on disk may be denied storage: then the choice lasts as long as the page.
function kept(): "light" | "dark" | null {
  try {
    const value = localStorage.getItem("allot-theme");
    return value === "light" || value === "dark" ? value : null;
  } catch { return null; }
}

export function begin(report: Report): void {
  model.value = new Model(report);
  state.value = read(location.hash, model.value);
  if (!report.about.has_stacks && !location.hash) set({ view: "sizes" });
  theme.value = kept();
  system?.addEventListener("change", follow);
  effect(() => {
    follow();
    if (theme.value) document.documentElement.dataset.theme = theme.value;
    else delete document.documentElement.dataset.theme;
  });
  addEventListener("hashchange", () => {
    const next = read(location.hash, model.value);
    if (write(next) !== write(state.peek())) state.value = next;
  });
  let timer = 0, view = state.peek().view;
  effect(() => {
    const text = write(state.value);
    clearTimeout(timer);
    timer = window.setTimeout(() => {
      if (text === (location.hash || "#")) return;
      const moved = state.peek().view !== view; // another view is a step for the browser's Back
      view = state.peek().view;
      history[moved ? "pushState" : "replaceState"](null, "", text);
    }, 200);
  });
}

export function chooseTheme(): void {
  theme.value = dark.peek() ? "light" : "dark";
  try { localStorage.setItem("allot-theme", theme.value); } catch { /* it lasts as long as the page */ }
}
