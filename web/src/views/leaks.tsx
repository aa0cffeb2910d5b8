// Blocks that nothing points to any more, by the site that allocated them.
import { computed, signal } from "@preact/signals";
import { bytes, exact } from "../model/format";
import { isJudged, leakRows, VERDICTS, type LeakRow, type Verdict } from "../model/leaks";
import { figures, model, process, state, whole } from "../store";
import { Copy, Missing, Panel, Switch } from "../ui/parts";
import { SiteLink } from "../ui/site";

const SAYS: Record<Verdict, string> = {
  definite: "nothing points to it", indirect: "only lost blocks point to it", possible: "only pointers into its middle",
  reachable: "still pointed to", thread: "only a thread's stack or registers point to it", unknown: "never freed; nobody looked whether something points to it",
};
const grouped = computed(() => leakRows(model.value, model.value.report.leaks ?? []));
const hidden = signal<ReadonlySet<Verdict>>(new Set<Verdict>(["reachable", "thread"]));

function Path({ path }: { path: string[] }) {
  if (!path.length) return null;
  return <ol class="path" aria-label="Who points to it, from a root">{path.map((step, i) => <li key={i} class="code">{step}</li>)}</ol>;
}

export function Leaks() {
  const m = model.value, all = m.report.leaks;
  const left = m.report.sites.left_bytes.reduce((a, b) => a + b, 0);
  if (!all) return <Missing what={`This trace does not say what was still pointed to when it ended, so nobody can tell leaks from what is in use. ${bytes(left)} were held at the end; the flame graph's “Leaked” and the table's “At end” say by whom. Reachability needs the memory itself:`} command="allot record --leaks -o app.allot -- ./app" />;
  if (!all.length) return <Missing what="Nothing is lost: at the end every block was freed or still pointed to." />;
  const query = state.value.query.trim().toLowerCase();
  const mine = (leak: LeakRow) => process.value === null || leak.sites.some((s) => m.report.sites.process[s] === process.value);
  const inside = (leak: LeakRow) => whole.value || leak.sites.some((s) => s < 0 || s >= m.count || figures.value.allocs[s]! > 0);
  const has = (leak: LeakRow) => !query || `${leak.type} ${leak.site >= 0 && leak.site < m.count ? m.path(m.report.sites.node[leak.site]!).map((f) => m.frameName(f)).join(" ") : ""}`.toLowerCase().includes(query);
  const kinds = VERDICTS.filter((verdict) => all.some((leak) => leak.verdict === verdict)), only = kinds.every((k) => hidden.value.has(k));
  const shown = grouped.value.filter((leak) => (only || !hidden.value.has(leak.verdict)) && mine(leak) && inside(leak) && has(leak));
  const judged = isJudged(all), lost = all.filter((leak) => !judged || leak.verdict === "definite" || leak.verdict === "indirect");
  const turn = (verdict: Verdict, on: boolean) => {
    const next = new Set(hidden.value);
    if (on) next.delete(verdict); else next.add(verdict);
    hidden.value = next;
  };
  return (
    <Panel title={judged ? "Leaks" : "Never freed"} note={<>{bytes(lost.reduce((sum, leak) => sum + leak.bytes, 0))} in {exact(lost.reduce((sum, leak) => sum + leak.blocks, 0))} blocks {judged ? "are lost." : <>were never freed. Whether something still points to them was not looked at; <code>allot record --leaks</code> does.</>}{whole.value ? "" : " Shown are those of sites that allocated in the selection."}</>}
      tools={<>{kinds.length < 2 ? null : kinds.map((verdict) => <Switch key={verdict} label={verdict === "thread" ? "thread-only" : verdict} title={SAYS[verdict]} on={only || !hidden.value.has(verdict)} turn={(on) => turn(verdict, on)} />)}<Copy label="Copy all suppressions" text={() => shown.map((leak) => leak.suppression).filter(Boolean).join("\n")} /></>}>
      <ul class="leaks">
        {shown.slice(0, 300).map((leak, i) => (
          <li key={i} class={leak.verdict}>
            <div class="amount"><b>{bytes(leak.bytes)}</b><span>{exact(leak.blocks)} {leak.blocks === 1 ? "block" : "blocks"}</span>{leak.retained > leak.bytes ? <span>keeps {bytes(leak.retained)}</span> : null}</div>
            <div class="what">
              <SiteLink site={leak.site} />
              <p><span class={`badge ${leak.verdict}`}>{leak.verdict === "thread" ? "thread-only" : leak.verdict}</span> {SAYS[leak.verdict]}{leak.type ? <>; of type <span class="code">{leak.type}</span></> : null}</p>
              <Path path={leak.path} />
            </div>
            {leak.suppression ? <div class="act"><Copy label="Copy suppression" text={() => leak.suppression} /><code>{leak.suppression}</code></div> : null}
          </li>
        ))}
      </ul>
      {shown.length ? null : <Missing what={query ? `No leak has “${query}” in its stack or type.` : "None of these sites allocated in the selection."} />}
      {shown.length > 300 ? <p class="note">The first 300 of {exact(shown.length)}; the search narrows them.</p> : null}
    </Panel>
  );
}
