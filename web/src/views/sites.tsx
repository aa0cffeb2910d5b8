// The table of sites. Only the rows in sight are in the page, so that it stays quick with any number of them.
import { computed, signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { exact } from "../model/format";
import { asText, columns, filter, rows, sort, type Row } from "../model/sites";
import { model, order, process, query, range, set, site as chosen } from "../store";
import { Choice, Copy, Missing, Panel, Spark } from "../ui/parts";

const HEIGHT = 46;
const by = signal<"place" | "stack">("place");
const top = signal(0), tall = signal(600);
const list = computed(() => {
  const m = model.value;
  return sort(filter(rows(m, range.value, by.value, process.value), query.value, m), order.value);
});
const curves = new Map<string, Float64Array>();

function curve(row: Row): Float64Array {
  const key = `${by.peek()}${row.key}`;
  let known = curves.get(key);
  if (!known) {
    known = new Float64Array(model.peek().n);
    for (const s of row.sites.slice(0, 64)) model.peek().curve(s).forEach((v, i) => { known![i]! += v; });
    curves.set(key, known);
  }
  return known;
}

export function Sites() {
  const m = model.value, shown = list.value, by_what = order.value, site = chosen.value, box = useRef<HTMLDivElement>(null);
  const shownColumns = columns(m);
  const up = by_what.startsWith("-"), column = by_what.replace(/^-/, "");
  useEffect(() => {
    const at = box.current;
    if (!at) return undefined;
    const watch = new ResizeObserver(() => { tall.value = at.clientHeight; });
    watch.observe(at);
    return () => watch.disconnect();
  }, []);
  useEffect(() => { // a site that a link chose is brought into sight
    const at = shown.findIndex((row) => site !== null && row.sites.includes(site)), view = box.current;
    if (at < 0 || !view) return;
    if ((at + 1) * HEIGHT > view.scrollTop + view.clientHeight - HEIGHT || at * HEIGHT < view.scrollTop) view.scrollTop = Math.max(0, at * HEIGHT - view.clientHeight / 3);
  }, [site]);
  const first = Math.max(0, Math.min(Math.floor(top.value / HEIGHT) - 4, shown.length - 1)), last = Math.min(shown.length, first + Math.ceil(tall.value / HEIGHT) + 9);
  const choose = (row: Row) => set({ site: site !== null && row.sites.includes(site) ? null : row.sites[0]! });
  const by_column = (id: string) => set({ sort: column === id && !up ? `-${id}` : id });
  const press = (event: KeyboardEvent) => {
    const at = shown.findIndex((row) => site !== null && row.sites.includes(site));
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + 10, PageUp: at - 10, Home: 0, End: shown.length - 1 }[event.key];
    if (to === undefined || !shown.length) return;
    event.preventDefault();
    set({ site: shown[Math.max(0, Math.min(shown.length - 1, to))]!.sites[0]! });
  };
  const mark = (id: string) => (column === id ? (up ? "ascending" : "descending") : "none") as "ascending";
  if (!m.count) return <Missing what="This trace names no sites." command="allot record -o app.allot -- ./app" />;
  return (
    <Panel title="Sites" note={`${exact(shown.length)} ${by.value === "place" ? "places in the source" : "stacks"}${query.value ? ` with “${query.value}”` : ""}; figures of the selection unless a title says otherwise`}
      tools={<><Choice label="Rows by" value={by.value} choose={(v) => { by.value = v; }} options={[["place", "By place"], ["stack", "By stack"]]} /><Copy text={() => asText(shown.slice(0, 1000), m)} /></>}>
      <label class="narrow-only sorter">Order <select value={column} onChange={(event) => set({ sort: event.currentTarget.value })}>{shownColumns.map((c) => <option key={c.id} value={c.id}>{c.title}</option>)}</select></label>
      <div class="scroll" ref={box} onScroll={(event) => { top.value = event.currentTarget.scrollTop; }} tabIndex={0} onKeyDown={press} role="region" aria-label="Sites; arrows choose a row">
        <table class="sites" aria-rowcount={shown.length}>
          <thead><tr>
            <th aria-sort={mark("name")}><button type="button" onClick={() => by_column("name")}>Place</button></th>
            <th class="over-time">Held over time</th>
            {shownColumns.map((c) => <th key={c.id} class={`${c.wide ? "wide" : ""} ${column === c.id ? "sorted" : ""}`} aria-sort={mark(c.id)}><button type="button" title={c.says} onClick={() => by_column(c.id)}>{c.title}</button></th>)}
          </tr></thead>
          <tbody>
            <tr style={{ height: `${first * HEIGHT}px` }} aria-hidden="true" class="space" />
            {shown.slice(first, last).map((row, i) => (
              <tr key={row.key} aria-rowindex={first + i + 1} aria-selected={site !== null && row.sites.includes(site)} onClick={() => choose(row)}>
                <td><span class="code name" title={row.name}>{row.name}</span><span class="where">{row.where}{row.sites.length > 1 ? ` · ${row.sites.length} stacks` : ""}</span></td>
                <td class="over-time"><Spark values={curve(row)} label="held over time" /></td>
                {shownColumns.map((c) => <td key={c.id} class={`${c.wide ? "wide" : ""} ${column === c.id ? "sorted" : ""} ${c.id === "lost" && row.lost ? "bad" : ""}`}>{c.show(row, m)}</td>)}
              </tr>
            ))}
            <tr style={{ height: `${Math.max(0, shown.length - last) * HEIGHT}px` }} aria-hidden="true" class="space" />
          </tbody>
        </table>
        {shown.length ? null : <Missing what={`No place has “${query.value}” in its stack. Words are looked for in functions, files and modules; -word leaves out.`} />}
      </div>
    </Panel>
  );
}
