// This run beside an earlier one, place by place in the source.
import { signal } from "@preact/signals";
import { bytes, count, exact, signed } from "../model/format";
import { figures, model, set, state, whole } from "../store";
import { change } from "../ui/colours";
import { Choice, Copy, Missing, Panel } from "../ui/parts";

const what = signal<"peak" | "bytes" | "allocs">("peak");

export function DiffView() {
  const m = model.value, diff = m.report.diff;
  if (!diff) return <Missing what="This page is of one run. To see what another one did differently:" command={`allot report --before=EARLIER.allot -o page.html ${m.report.about.file}`} />;
  const of = what.value, query = state.value.query.trim().toLowerCase(), show = of === "allocs" ? count : bytes;
  const active = new Map<number, number>(); // places of the selection, and the site to show for each
  m.report.sites.place.forEach((place, s) => { if (whole.value || figures.value.allocs[s]! > 0) active.set(place, active.has(place) && m.report.sites.bytes[active.get(place)!]! >= m.report.sites.bytes[s]! ? active.get(place)! : s); });
  const list = diff.rows.map((row) => ({ place: row.place, was: row[`before_${of}`], now: row[`now_${of}`], by: row[`now_${of}`] - row[`before_${of}`] }))
    .filter((row) => (whole.value || active.has(row.place)) && (!query || `${m.frameName(row.place)} ${m.where(row.place)}`.toLowerCase().includes(query)) && (row.was || row.now))
    .sort((a, b) => Math.abs(b.by) - Math.abs(a.by));
  const most = Math.max(1, ...list.map((row) => Math.abs(row.by))), other = diff.other, about = m.report.about, grown = about.peak.bytes - other.peak.bytes;
  const text = () => list.map((row) => `${m.frameShort(row.place)}\t${m.where(row.place)}\t${show(row.was)}\t${show(row.now)}\t${signed(show(row.by), row.by)}`).join("\n");
  return (
    <Panel title="What changed" note={<>Beside <span class="code">{other.file}</span>: the peak went from {bytes(other.peak.bytes)} to {bytes(about.peak.bytes)}, {signed(bytes(grown), grown)}.{whole.value ? "" : " Places that allocated in the selection; figures of both whole runs."}</>}
      tools={<><Choice label="Compare" value={of} choose={(v) => { what.value = v; }} options={[["peak", "At the peak"], ["bytes", "Bytes"], ["allocs", "Allocations"]]} />
        <button type="button" class="button" onClick={() => set({ view: "flame", change: true, mode: of === "allocs" ? "count" : of === "bytes" ? "bytes" : "peak" })}>In the flame graph</button><Copy text={text} /></>}>
      <table class="plain diff"><thead><tr><th>Place</th><th class="wide">Before</th><th class="wide">Now</th><th class="left">Change</th></tr></thead>
        <tbody>{list.slice(0, 100).map((row) => (
          <tr key={row.place}><td><button type="button" class="site" disabled={!active.has(row.place)} onClick={() => set({ site: active.get(row.place) ?? null })}><span class="code">{m.frameShort(row.place)}</span><span class="where">{m.where(row.place)}</span></button></td>
            <td class="wide">{show(row.was)}</td><td class="wide">{show(row.now)}</td>
            <td><span class="swing"><span>{signed(show(row.by), row.by)}</span><span class="track"><i style={{ [row.by < 0 ? "right" : "left"]: "50%", width: `${(Math.abs(row.by) / most) * 50}%`, background: change(row.by < 0 ? -0.8 : 0.8) }} /></span></span></td></tr>
        ))}</tbody></table>
      {list.length > 100 ? <p class="note">The 100 largest of {exact(list.length)}; the search narrows them.</p> : null}
      {list.length ? null : <Missing what={query ? `No place has “${query}” in its name.` : "Nothing changed here."} />}
    </Panel>
  );
}
