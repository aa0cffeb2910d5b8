// What the trace comes to, in sentences; each leads to the view that shows it.
import type { Sentence } from "../data";
import { blocks, bytes, count, exact, percent, span, time } from "../model/format";
import { linkState, write } from "../model/hash";
import { isJudged } from "../model/leaks";
import { model, set } from "../store";

const MARK = {
  bad: <svg viewBox="0 0 16 16" aria-hidden="true"><path d="M8 1.6 15.2 14H.8Z" /><path class="in" d="M8 6v4M8 11.4v1" /></svg>,
  note: <svg viewBox="0 0 16 16" aria-hidden="true"><circle cx="8" cy="8" r="6.4" /><path class="in" d="M8 7.2v4M8 4.4v1" /></svg>,
  good: <svg viewBox="0 0 16 16" aria-hidden="true"><rect x="1.4" y="1.4" width="13.2" height="13.2" rx="3.4" /><path class="in" d="m4.8 8.3 2.2 2.2 4.2-4.6" /></svg>,
};
const TONE = { bad: "Problem", note: "Note", good: "Good" };
const VIEW_NAME: Record<string, string> = {
  timeline: "timeline", flame: "flame graph", map: "heap map", sizes: "sizes", lifetimes: "lifetimes", sites: "sites",
  strategies: "strategies", leaks: "leaks", threads: "threads", diff: "what changed",
};

// Figures stand out from the words around them.
const FIGURE = /((?<![\w:.#+-])[+−-]?\d[\d.,]*\s?(?:[KMGT]iB|bytes|B|%|ns|µs|ms|s|min|h|times|blocks|allocations|events|pages)(?!\w))/g;
export function Words({ text }: { text: string }) {
  return <>{text.split(FIGURE).map((part, i) => (i % 2 ? <b key={i}>{part}</b> : part))}</>;
}

export function showViews(): void { document.getElementById("dock")?.scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" }); }

function Line({ sentence, lead }: { sentence: Sentence; lead: boolean }) {
  const { link } = sentence, inner = (
    <>
      <span class="mark" title={TONE[sentence.tone]}>{MARK[sentence.tone]}<span class="hidden">{TONE[sentence.tone]}: </span></span>
      <span class="words"><Words text={sentence.text} />{link ? <span class="to">{VIEW_NAME[link.view] ?? link.view}</span> : null}</span>
    </>
  );
  const shape = `sentence ${sentence.tone}${lead ? " lead" : ""}`;
  if (!link) return <li><div class={shape}>{inner}</div></li>;
  const next = linkState(link, model.value);
  const go = (event: MouseEvent) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    set(next);
    showViews();
  };
  return <li><a class={shape} href={write(next)} onClick={go}>{inner}</a></li>;
}

export function Verdict() {
  const { report, timed } = model.value, { about, timeline, sites } = report, n = model.value.n;
  const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);
  const allocs = sum(timeline.allocs), temporary = sum(sites.temporary), lost = sum(sites.lost_bytes), known = report.leaks !== undefined && isJudged(report.leaks);
  const figures: [string, string, string][] = [
    ["Most held at once", bytes(about.peak.bytes), `${blocks(about.peak.blocks)}, at ${time(about.peak.time, timed)}`],
    ["Held at the end", bytes(timeline.live[n - 1] ?? 0), blocks(timeline.blocks[n - 1] ?? 0)],
    known ? ["Lost", bytes(lost), lost ? "nothing points to it" : "everything is reachable"] : ["Resident, at most", about.resident_peak ? bytes(about.resident_peak.bytes) : "–", about.resident_peak ? `at ${time(about.resident_peak.time, timed)}` : "not recorded"],
    ["Allocations", count(allocs), `${bytes(sum(timeline.bytes))} in ${span(about.end - about.begin, timed)}`],
    ["Temporary", percent(temporary, allocs), "of them lived only briefly"],
  ];
  return (
    <section class="verdict" aria-label="Verdict">
      <h2 class="hidden">Verdict</h2>
      {about.truncated || about.lost > 0 ? (
        <p class="warning" role="note">
          {about.truncated ? "The recording ends early: its file was cut off, and what came after is not here. " : ""}
          {about.lost > 0 ? `${exact(about.lost)} events were lost while recording: figures are too low by them. ` : ""}
        </p>
      ) : null}
      <dl class="figures">{figures.map(([name, value, more]) => <div key={name}><dt>{name}</dt><dd>{value}</dd><dd class="more">{more}</dd></div>)}</dl>
      <ol class="sentences">{report.verdict.map((sentence, i) => <Line key={i} sentence={sentence} lead={i === 0} />)}</ol>
    </section>
  );
}
