// One site: its stack, its figures, its curve, and the ways to where else it shows.
import { siteFacts } from "../model/sites";
import { model, range, set, site as chosen, view as now } from "../store";
import { Copy, Facts, Spark } from "./parts";
import type { View } from "../model/hash";

const WAYS: [View, string][] = [["flame", "Flame graph"], ["sites", "Sites"], ["map", "Heap map"], ["lifetimes", "Lifetimes"]];

export function SiteCard() {
  const s = chosen.value, m = model.value;
  if (s === null) return null;
  const path = m.path(m.report.sites.node[s]!), place = m.report.sites.place[s]!;
  const text = () => [m.siteName(s), ...path.map((f, i) => `#${i} ${m.frameName(f)} ${m.file(f) || m.moduleName(f)}`), ...siteFacts(m, s, range.peek()).map(([name, value]) => `${name}: ${value}`)].join("\n");
  return (
    <aside class="card" aria-label="The chosen site">
      <header>
        <div><h3 class="code">{m.siteName(s)}</h3><p class="note">{m.siteWhere(s)}</p></div>
        <button type="button" class="close" aria-label="Close" onClick={() => set({ site: null })}>×</button>
      </header>
      <div class="curve"><Spark values={m.curve(s)} label="What it held over time" stretch /></div>
      <Facts of={siteFacts(m, s, range.value)} />
      {path.length ? (
        <ol class="stack" aria-label="Stack, the allocation first">
          {path.map((f, i) => <li key={i} class={f === place ? "own" : ""} title={m.frameName(f)}><span class="code">{m.frameShort(f)}</span><span class="where">{m.where(f)}</span></li>)}
        </ol>
      ) : null}
      <div class="ways">
        {WAYS.filter(([view]) => view !== now.value).map(([view, text]) => <button key={view} type="button" class="button" onClick={() => set({ view })}>{text}</button>)}
        <Copy text={text} label="Copy" />
      </div>
    </aside>
  );
}

// A site's name as a button that chooses it.
export function SiteLink({ site }: { site: number }) {
  const m = model.value;
  if (site < 0 || site >= m.count) return <span class="quiet">other sites</span>;
  return (
    <button type="button" class="site" aria-pressed={chosen.value === site} onClick={() => set({ site: chosen.peek() === site ? null : site })}>
      <span class="code">{m.siteName(site)}</span><span class="where">{m.siteWhere(site)}</span>
    </button>
  );
}
