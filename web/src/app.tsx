// The page: the verdict, the timeline with the views' tabs, the chosen view, the chosen site.
import { useEffect, useRef } from "preact/hooks";
import { span } from "./model/format";
import { VIEWS, type View } from "./model/hash";
import { chooseTheme, dark, help, model, process, query, set, site, state, view } from "./store";
import { Keys } from "./ui/keys";
import { hideTip, Tooltip } from "./ui/parts";
import { SiteCard } from "./ui/site";
import { AdviceView } from "./views/advice";
import { DiffView } from "./views/diff";
import { Flame } from "./views/flame";
import { Leaks } from "./views/leaks";
import { Lifetimes } from "./views/lifetimes";
import { MapView } from "./views/map";
import { Sites } from "./views/sites";
import { Sizes } from "./views/sizes";
import { StepsView } from "./views/steps";
import { StrategiesView } from "./views/strategies";
import { Threads } from "./views/threads";
import { Timeline } from "./views/timeline";
import { Verdict } from "./views/verdict";

const TABS: Record<View, [string, () => unknown]> = {
  flame: ["Flame graph", Flame], sites: ["Sites", Sites], map: ["Heap map", MapView], sizes: ["Sizes", Sizes], lifetimes: ["Lifetimes", Lifetimes], leaks: ["Leaks", Leaks],
  threads: ["Threads", Threads], strategies: ["Strategies", StrategiesView], steps: ["Step by step", StepsView], advice: ["Advice", AdviceView], diff: ["What changed", DiffView],
};

function has(view: View): boolean {
  const { report } = model.value;
  switch (view) {
    case "flame": return report.about.has_stacks;
    case "map": case "leaks": case "threads": case "strategies": case "advice": case "diff": return report[view] !== undefined;
    case "steps": return Boolean(report.strategies?.steps?.ops.length);
    default: return true;
  }
}

function Head() {
  const { about } = model.value.report;
  const when = about.recorded ? new Date(about.recorded * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }) : "";
  return (
    <header class="top">
      <div class="title">
        <span class="brand"><svg viewBox="0 0 24 24" aria-hidden="true"><rect x="2" y="3" width="20" height="5" rx="1.5" /><rect x="2" y="10" width="12" height="5" rx="1.5" /><rect x="2" y="17" width="7" height="5" rx="1.5" /></svg>allot</span>
        <h1 class="code" title={about.command}>{about.command || about.file}</h1>
        <p class="meta">{[when, span(about.end - about.begin, about.timed), about.processes.length > 1 ? `${about.processes.length} processes` : "", about.file].filter(Boolean).join(" · ")}</p>
      </div>
      <div class="controls">
        {about.processes.length > 1 ? (
          <label class="process" title="Of one process: the flame graph, the sites, the heap map, leaks and threads"><span class="hidden">Process</span><select value={process.value ?? ""} onChange={(event) => set({ process: event.currentTarget.value === "" ? null : Number(event.currentTarget.value) })}>
            <option value="">All processes</option>{about.processes.map((one, i) => <option key={i} value={one.number}>{one.program.replace(/^.*\//, "")} {one.number}</option>)}
          </select></label>
        ) : null}
        <label class="search"><svg viewBox="0 0 16 16" aria-hidden="true"><circle cx="7" cy="7" r="4.5" /><path d="m10.5 10.5 4 4" /></svg><span class="hidden">Search</span>
          <input id="search" type="search" placeholder="Function, file, module" value={query.value} onInput={(event) => set({ query: event.currentTarget.value })} autocomplete="off" spellcheck={false} /><kbd>/</kbd></label>
        <button type="button" class="icon" aria-label={dark.value ? "Light colours" : "Dark colours"} title={dark.value ? "Light colours" : "Dark colours"} onClick={chooseTheme}>
          <svg viewBox="0 0 16 16" aria-hidden="true">{dark.value ? <><circle cx="8" cy="8" r="3" /><path d="M8 1v2M8 13v2M1 8h2M13 8h2M3 3l1.4 1.4M11.6 11.6 13 13M3 13l1.4-1.4M11.6 4.4 13 3" /></> : <path d="M13.4 9.8A6 6 0 0 1 6.2 2.6a6 6 0 1 0 7.2 7.2Z" />}</svg>
        </button>
        <button type="button" class="icon" aria-label="Keys" title="Keys (?)" onClick={() => { help.value = true; }}>?</button>
      </div>
    </header>
  );
}

function Tabs() {
  const now = view.value, list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const tab = list.current?.querySelector<HTMLElement>("[aria-selected=true]"), box = list.current;
    if (tab && box) box.scrollLeft = tab.offsetLeft - (box.clientWidth - tab.clientWidth) / 2;
  }, [now]);
  const move = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = VIEWS[(VIEWS.indexOf(now) + step + VIEWS.length) % VIEWS.length]!;
    set({ view: next });
    (list.current!.querySelector(`[data-view=${next}]`) as HTMLElement).focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label="Views" ref={list} onKeyDown={move}>
      {VIEWS.map((one) => <button key={one} type="button" role="tab" id={`tab-${one}`} data-view={one} aria-selected={one === now} aria-controls="view" tabIndex={one === now ? 0 : -1} class={has(one) ? "" : "none"} onClick={() => set({ view: one })}>{TABS[one][0]}</button>)}
    </div>
  );
}

function keys(event: KeyboardEvent): void {
  const target = event.target as HTMLElement;
  if (event.key === "Escape" && target.id === "search") { set({ query: "" }); target.blur(); return; }
  if (event.ctrlKey || event.metaKey || event.altKey || target.closest("input:not([type=range]), select, textarea, dialog")) return;
  const at = VIEWS.indexOf(state.peek().view);
  if (event.key === "/") { document.getElementById("search")!.focus(); event.preventDefault(); }
  else if (event.key === "?") help.value = true;
  else if (event.key === "t") document.getElementById("timeline")!.focus();
  else if (event.key === "d") chooseTheme();
  else if (event.key === "[" || event.key === "]") set({ view: VIEWS[(at + (event.key === "]" ? 1 : -1) + VIEWS.length) % VIEWS.length]! });
  else if (/^[1-9]$/.test(event.key)) set({ view: VIEWS[Number(event.key) - 1]! });
  else if (event.key === "Escape" && !event.defaultPrevented && state.peek().site !== null) set({ site: null });
}

export function App() {
  const now = view.value, Now = TABS[now][1] as () => preact.JSX.Element;
  useEffect(() => {
    addEventListener("keydown", keys);
    return () => removeEventListener("keydown", keys);
  }, []);
  useEffect(hideTip, [now]);
  return (
    <>
      <a class="skip" href="#" onClick={(event) => { event.preventDefault(); document.getElementById("timeline")!.focus(); }}>To the timeline</a>
      <Head />
      <Verdict />
      <div id="dock" class="dock"><Timeline /><Tabs /></div>
      <main class={site.value !== null ? "with-card" : ""}>
        <div id="view" class="view" role="tabpanel" aria-labelledby={`tab-${now}`}><Now key={now} /></div>
        <SiteCard />
      </main>
      <footer>allot {model.value.report.about.allot} · one file, no network: it can be kept and sent as it is</footer>
      <Tooltip />
      <Keys />
    </>
  );
}
