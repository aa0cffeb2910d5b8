// Who allocates: thread by thread, over time, and whose blocks others free.
import { bytes, count, exact, percent, time } from "../model/format";
import { threadSums } from "../model/tallies";
import { model, moment, process, range } from "../store";
import { Canvas, inside } from "../ui/canvas";
import { picture } from "../ui/cells";
import { token } from "../ui/colours";
import { Bar, hideTip, Missing, Panel, showTip } from "../ui/parts";

const ROW = 22, LEFT = 118;

export function Threads() {
  const m = model.value, threads = m.report.threads;
  if (!threads || !threads.number.length) return <Missing what="This trace does not say which thread did what. Recordings of allot's own do." command="allot record -o app.allot -- ./app" />;
  const sums = threadSums(m, range.value), order = threads.number.map((_, t) => t).filter((t) => process.value === null || threads.process[t] === process.value).sort((a, b) => sums.allocs[b]! - sums.allocs[a]!), few = order.slice(0, 64);
  const total = order.reduce((sum, t) => sum + sums.allocs[t]!, 0), most = Math.max(1, ...order.map((t) => sums.allocs[t]!)), [from, to] = range.value;
  const several = m.report.about.processes.length > 1;
  const name = (t: number) => {
    const given = threads.name[t]!, text = typeof given === "string" ? given : m.text(given);
    return text || `thread ${threads.number[t]}`;
  };
  const number = (t: number) => (several ? `${threads.process[t]}.${threads.number[t]}` : String(threads.number[t]));
  let peak = 1;
  for (const t of few) for (const v of sums.busy[t]!) peak = Math.max(peak, v);
  const draw = (c: CanvasRenderingContext2D, width: number) => {
    const step = (width - LEFT) / (to - from + 1);
    c.font = `12px ${getComputedStyle(document.body).fontFamily}`; c.textBaseline = "middle";
    c.imageSmoothingEnabled = false;
    const shade = (v: number) => (v ? 30 + Math.round(225 * (Math.log1p(v) / Math.log1p(peak))) : 1);
    c.drawImage(picture(to - from + 1, few.length, "well", (r, i) => shade(sums.busy[few[r]!]![from + i]!)), LEFT, 0, width - LEFT, few.length * ROW);
    few.forEach((t, r) => {
      c.fillStyle = token("quiet");
      c.fillText(name(t).slice(0, 16), 0, r * ROW + ROW / 2);
      c.fillStyle = token("panel");
      c.fillRect(LEFT, r * ROW - 1, width - LEFT, 2);
    });
    const x = LEFT + (Math.max(from, Math.min(to, moment.value)) - from + 1) * step;
    c.fillStyle = token("ink"); c.fillRect(x - 1, 0, 1.5, few.length * ROW);
  };
  return (
    <Panel title="Threads" note={`${exact(order.length)} ${order.length === 1 ? "thread" : "threads"}; the busiest made ${percent(most, total)} of the selection's allocations.`}>
      <Canvas height={few.length * ROW} id="threads" draw={draw} label="Allocations of each thread over time"
        onMouseMove={(event) => { const { x, y, width } = inside(event), t = few[Math.floor(y / ROW)], i = from + Math.floor(((x - LEFT) / (width - LEFT)) * (to - from + 1)); if (t !== undefined && x >= LEFT && i <= to) showTip(event, <><b>{name(t)}</b><div>{count(sums.busy[t]![i]!)} allocations until {time(m.end(i), m.timed)}</div></>); else hideTip(); }} onMouseLeave={hideTip} />
      <table class="plain"><thead><tr><th>Thread</th><th class="left">Allocations</th><th class="wide">Bytes, whole run</th><th>Frees</th><th class="wide">Frees of others' blocks, whole run</th></tr></thead>
        <tbody>{few.map((t) => (
          <tr key={t}><td>{name(t)} <span class="quiet">{number(t)}</span></td><td><Bar part={sums.allocs[t]! / most}>{count(sums.allocs[t]!)} <span class="quiet">{percent(sums.allocs[t]!, total)}</span></Bar></td>
            <td class="wide">{bytes(threads.bytes[t]!)}</td><td>{count(sums.frees[t]!)}</td><td class="wide">{percent(threads.freed_others[t]!, threads.frees[t]!)}</td></tr>
        ))}</tbody></table>
      {order.length > few.length ? <p class="note">The {few.length} busiest of {exact(order.length)}.</p> : null}
    </Panel>
  );
}
