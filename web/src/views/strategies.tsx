// The same trace on every strategy: what each would hold, at each moment and at its worst.
import { signal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import type { Strategy } from "../data";
import { fromBase64 } from "../load";
import { bytes, count, exact, percent } from "../model/format";
import { at, footprint, momentOf, momentRange, momentTimes } from "../model/strategies";
import { model, moment, range } from "../store";
import { Canvas } from "../ui/canvas";
import { amount, token } from "../ui/colours";
import { Bar, Choice, Missing, Panel } from "../ui/parts";

const which = signal<"all" | "models" | "real">("all");
const order = signal<"peak" | "moment" | "time">("peak");

const ORDERS = [["peak", "Peak"], ["moment", "At the moment"], ["time", "Time"]] as const;

function Curve({ one, live, from, to, now, top, times }: { one: Strategy; live: number[]; from: number; to: number; now: number; top: number; times: number[] }) {
  const draw = (c: CanvasRenderingContext2D, width: number, tall: number) => {
    const begin = times[from]!, long = times[to]! - begin || 1, x = (k: number) => ((times[k]! - begin) / long) * width, y = (v: number) => tall - 1 - (v / top) * (tall - 4);
    const line = (values: number[]) => { c.beginPath(); for (let k = from; k <= to; k++) c.lineTo(x(k), y(values[k] ?? 0)); };
    const fill = (values: number[], colour: string) => { line(values); c.lineTo(width, tall); c.lineTo(0, tall); c.closePath(); c.fillStyle = colour; c.fill(); };
    fill(one.held, token("resident-fill"));
    fill(live, token("panel"));
    fill(live, token("live-fill"));
    c.lineWidth = 1.5; c.strokeStyle = token("live"); line(live); c.stroke();
    c.strokeStyle = token("resident"); line(one.held); c.stroke();
    c.fillStyle = token("ink"); c.fillRect(Math.min(width - 1, x(now)), 0, 1, tall);
  };
  return <Canvas height={64} draw={draw} class="canvas curve" label={`What ${one.name} holds over time, above what is live`} />;
}

function Strip({ one }: { one: Strategy }) {
  const cells = useMemo(() => (one.map ? fromBase64(one.map) : null), [one]);
  if (!cells) return <p class="strip-missing">A real malloc does not tell where its blocks lie.</p>;
  const draw = (c: CanvasRenderingContext2D, width: number, tall: number) => {
    const step = width / cells.length;
    cells.forEach((v, i) => { c.fillStyle = v ? amount(0.1 + (0.9 * v) / 255) : token("well"); c.fillRect(i * step, 0, step + 0.6, tall); });
  };
  return <Canvas height={16} draw={draw} class="canvas" label={`${one.name}'s memory, address by address: ${percent(cells.filter((v) => v === 0).length, cells.length)} of it is hole`} />;
}

function Card({ one, from, to, now, top, best }: { one: Strategy; from: number; to: number; now: number; top: number; best: boolean }) {
  const all = model.value.report.strategies!;
  const head = <header><h4>{one.name}{one.real && one.version ? <span class="quiet"> {one.version}</span> : null}</h4><span class={`badge ${one.real ? "real" : "model"}`}>{one.real ? "real" : "model"}</span>{best ? <span class="badge good">least</span> : null}</header>;
  if (one.failed) return <li class="strategy failed">{head}<p class="note">{one.failed}</p></li>;
  const s = at(all, one, now), held = s.held + s.metadata, over = held - s.live, peak = footprint(all, one);
  return (
    <li class="strategy">
      {head}
      <p class="note what">{one.what}</p>
      <p class="big"><b>{bytes(peak)}</b> <span class="quiet">at its peak, {percent(peak, all.peak_live)} of live</span></p>
      <Curve one={one} live={all.live} from={from} to={to} now={now} top={top} times={momentTimes(all, model.value) ?? all.moments} />
      <Strip one={one} />
      <dl class="facts tight">
        <div><dt>At the moment</dt><dd>{bytes(held)} <span class="quiet">{over >= 0 ? "+" : ""}{percent(over, s.live)}</span></dd></div>
        {one.real ? null : <><div><dt>Slack and headers</dt><dd>{bytes(s.inner)}</dd></div><div><dt>Holes</dt><dd>{bytes(s.outer)}</dd></div><div><dt>Largest hole</dt><dd>{bytes(s.hole)}</dd></div><div><dt>Metadata</dt><dd>{bytes(s.metadata)}</dd></div></>}
        {one.smallest ? <div><dt>Smallest that fits</dt><dd>{bytes(one.smallest)}</dd></div> : null}
        <div><dt>Held over live, mean</dt><dd>{one.mean_held_over_live.toFixed(2)}</dd></div>
        {one.real && one.ns_op !== undefined ? <div><dt>Time per operation</dt><dd>{one.ns_op.toFixed(1)} ns <span class="quiet">{one.ns_op_least?.toFixed(0)}–{one.ns_op_most?.toFixed(0)}, {one.runs} runs</span></dd></div> : null}
        {one.faults ? <div><dt>Page faults</dt><dd>{count(one.faults)}</dd></div> : null}
        {one.refused ? <div><dt>Refused</dt><dd class="bad">{exact(one.refused)}</dd></div> : null}
        {one.counts.map((c) => <div key={c.name}><dt>{c.name.charAt(0).toUpperCase() + c.name.slice(1)}</dt><dd>{count(c.value)}</dd></div>)}
      </dl>
    </li>
  );
}

export function StrategiesView() {
  const m = model.value, all = m.report.strategies;
  if (!all) return <Missing what="This page does not say how other strategies would have done: the trace was not replayed." command={`allot report --strategies -o page.html ${m.report.about.file}`} />;
  const now = momentOf(all, m, Math.max(range.value[0], Math.min(range.value[1], moment.value))), [from, to] = momentRange(all, m, range.value);
  const list = all.list.filter((one) => which.value === "all" || one.real === (which.value === "real"));
  const value = (one: Strategy) => (one.failed ? Infinity : order.value === "peak" ? footprint(all, one) : order.value === "moment" ? (one.held[now] ?? Infinity) + (one.metadata[now] ?? 0) : one.ns_op ?? Infinity);
  list.sort((a, b) => value(a) - value(b) || a.name.localeCompare(b.name));
  const fine = all.list.filter((one) => !one.failed && one.held.length), most = Math.max(1, all.peak_live, ...fine.map((one) => footprint(all, one)));
  let top = 1;
  for (const one of fine) for (let k = from; k <= to; k++) top = Math.max(top, one.held[k] ?? 0);
  const timed = fine.some((one) => one.ns_op !== undefined);
  const least = (real: boolean) => fine.filter((one) => one.real === real && !one.refused).sort((a, b) => footprint(all, a) - footprint(all, b))[0];
  return (
    <>
      <Panel title="Footprint, strategy by strategy" note={`${count(all.ops)} operations${all.cut ? ", the trace's first ones," : ""} replayed on each: what each needs at its worst, metadata included. The line is what was live at most, ${bytes(all.peak_live)}.`}>
        <p class="note honest">A model's replay gives space and counts; time comes from real replays only{timed ? ", in a fresh process whose pages are touched" : <>, of which there are none here: <code>allot compare {m.report.about.file}</code> runs them</>}. The program's own cache misses are in neither.</p>
        <ul class="peaks">{fine.slice().sort((a, b) => footprint(all, a) - footprint(all, b)).map((one) => (
          <li key={`${one.name}${one.real}`}><span class="name">{one.name} <span class={`badge ${one.real ? "real" : "model"}`}>{one.real ? "real" : "model"}</span></span>
            <span class="against"><Bar part={footprint(all, one) / most} tone="resident">{bytes(footprint(all, one))}</Bar><i class="live" style={{ left: `${(all.peak_live / most) * 100}%` }} title={`live: ${bytes(all.peak_live)}`} /></span>
            <span class="quiet">{one.ns_op !== undefined ? `${one.ns_op.toFixed(1)} ns` : ""}</span></li>
        ))}</ul>
      </Panel>
      <Panel title="Side by side" note={`What each holds (orange) above what is live (blue); below, its memory by address where most is live. ${momentTimes(all, m) ? "" : "The operations of several processes stand one after another here, so the selection does not apply."}`}
        tools={<><Choice label="Which" value={which.value} choose={(v) => { which.value = v; }} options={[["all", "All"], ["models", "Models"], ["real", "Real"]]} /><Choice label="Order" value={order.value} choose={(v) => { order.value = v; }} options={ORDERS.filter(([name]) => timed || name !== "time")} /></>}>
        <ul class="multiples">{list.map((one) => <Card key={`${one.name}${one.real}`} one={one} from={from} to={to} now={now} top={top} best={one === least(one.real)} />)}</ul>
        {list.length ? null : <Missing what={which.value === "real" ? "No real malloc was replayed for this page. Those that are installed are run by" : "No model was replayed for this page. They are by"} command={`allot compare ${m.report.about.file}`} />}
      </Panel>
    </>
  );
}
