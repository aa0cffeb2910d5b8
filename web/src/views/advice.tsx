// What to change, each with the saving that a replay showed.
import { bytes, percent } from "../model/format";
import { figures, model, whole } from "../store";
import { Missing, Panel } from "../ui/parts";
import { SiteLink } from "../ui/site";
import { Words } from "./verdict";

const NAME: Record<string, string> = {
  arena: "Arena", pool: "Pool", cache: "Object cache", strategy: "Another strategy", temporary: "Fewer temporaries", sharing: "Threads apart", realloc: "Grow in larger steps", lifetime: "Long and short apart",
};

export function AdviceView() {
  const m = model.value, all = m.report.advice;
  if (!all) return <Missing what="Advice comes from replaying the trace, which was not done for this page." command={`allot report --strategies -o page.html ${m.report.about.file}`} />;
  if (!all.length) return <Missing what="No change that was tried in a replay would save anything worth its work." />;
  const shown = all.filter((one) => whole.value || one.site < 0 || one.site >= m.count || figures.value.allocs[one.site]! > 0).sort((a, b) => b.saving_bytes - a.saving_bytes);
  return (
    <Panel title="Advice" note={`Savings are what replays showed, not estimates.${shown.length < all.length ? ` ${shown.length} of ${all.length}: of sites that allocated in the selection.` : ""}`}>
      <ul class="advice">{shown.map((one, i) => (
        <li key={i}>
          <div class="amount">{one.saving_bytes > 0 ? <><b>{bytes(one.saving_bytes)}</b><span>{one.saving_part > 0 ? `less, ${percent(one.saving_part, 1)}` : "less"}</span></> : <span>no bytes saved</span>}</div>
          <div class="what"><h4>{NAME[one.kind] ?? one.kind}</h4><p><Words text={one.text} /></p>{one.site >= 0 && one.site < m.count ? <SiteLink site={one.site} /> : null}{one.replay ? <p class="note">Replayed: {one.replay}</p> : null}</div>
        </li>
      ))}</ul>
    </Panel>
  );
}
