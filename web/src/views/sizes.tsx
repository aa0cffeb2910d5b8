// What sizes are asked for, and what rounding them up to size classes adds.
import { signal } from "@preact/signals";
import { bytes, count, exact, percent, sizeBin } from "../model/format";
import { sizeBins } from "../model/tallies";
import { model, range, whole } from "../store";
import { Canvas, inside } from "../ui/canvas";
import { token } from "../ui/colours";
import { Bar, Choice, hideTip, Missing, Panel, showTip } from "../ui/parts";

const what = signal<"allocs" | "bytes">("allocs");
const order = signal<"often" | "size">("often");

export function Sizes() {
  const m = model.value, bins = sizeBins(m, range.value), of = what.value;
  const total = bins.reduce((sum, b) => sum + b[of], 0), slack = bins.reduce((sum, b) => sum + b.slack, 0), asked = bins.reduce((sum, b) => sum + b.bytes, 0);
  const value = (b: (typeof bins)[number]) => (of === "bytes" ? b.bytes + b.slack : b.allocs), most = Math.max(1, ...bins.map(value));
  const show = (x: number) => (of === "bytes" ? bytes(x) : count(x));
  const FOOT = 22, HEAD = 18;
  const draw = (c: CanvasRenderingContext2D, width: number, tall: number) => {
    const step = width / bins.length, room = tall - FOOT - HEAD, sans = getComputedStyle(document.body).fontFamily;
    c.textAlign = "center";
    c.fillStyle = token("grid");
    c.fillRect(0, tall - FOOT, width, 1);
    bins.forEach((b, i) => {
      const x = i * step + step * 0.12, w = step * 0.76, h = (value(b) / most) * room, extra = of === "bytes" ? (b.slack / most) * room : 0;
      c.fillStyle = token("live");
      c.fillRect(x, tall - FOOT - h + extra, w, h - extra);
      if (extra) { c.fillStyle = token("resident"); c.fillRect(x, tall - FOOT - h, w, extra); }
      c.font = `11px ${sans}`;
      if (step > 46 || (step > 23 && i % 2 === 0) || i % 4 === 0) { c.fillStyle = token("quiet"); c.fillText(step > 60 ? sizeBin(b.bin) : sizeBin(b.bin).replace("iB", "").replace(" ", ""), x + w / 2, tall - 6); }
      if (step > 52 && value(b) > 0) { c.fillStyle = token("ink"); c.fillText(percent(b[of], total), x + w / 2, tall - FOOT - h - 5); }
    });
  };
  const sizes = m.report.sizes.exact, all = sizes.allocs.reduce((a, b) => a + b, 0);
  const top = sizes.size.map((size, i) => ({ size, allocs: sizes.allocs[i]! })).sort((a, b) => b.allocs - a.allocs).slice(0, 40);
  const largest = top[0]?.allocs ?? 1;
  if (order.value === "size") top.sort((a, b) => a.size - b.size);
  return (
    <>
      <Panel title="Sizes" note={`${bytes(asked)} were asked for; rounding up to allot's size classes adds ${bytes(slack)} (${percent(slack, asked)}).`}
        tools={<><ul class="legend"><li><i style={{ background: "var(--live)" }} />asked for</li>{of === "bytes" ? <li><i style={{ background: "var(--resident)" }} />slack</li> : null}</ul>
          <Choice label="Bars show" value={of} choose={(v) => { what.value = v; }} options={[["allocs", "Allocations"], ["bytes", "Bytes"]]} /></>}>
        {total ? (
          <Canvas height={260} id="sizes" draw={draw} label={`Sizes by powers of two: ${bins.filter((b) => b[of]).map((b) => `${sizeBin(b.bin)} ${show(b[of])}`).join(", ")}`}
            onMouseMove={(event) => { const { x, width } = inside(event), b = bins[Math.floor((x / width) * bins.length)]; if (b) showTip(event, <><b>{sizeBin(b.bin)} to {sizeBin(b.bin + 1)}</b><div>{exact(b.allocs)} allocations</div><div>{bytes(b.bytes)}, and {bytes(b.slack)} of slack</div></>); }} onMouseLeave={hideTip} />
        ) : <Missing what="Nothing was allocated in this selection." />}
      </Panel>
      <Panel title="Exact sizes" note={`The ${top.length} sizes asked for most often${whole.value ? "" : ", of the whole run: they are not kept by time"}.`}
        tools={<Choice label="Order" value={order.value} choose={(v) => { order.value = v; }} options={[["often", "Most often"], ["size", "By size"]]} />}>
        <ol class="columns">{top.map((one) => <li key={one.size}><span class="figure">{exact(one.size)} B</span><Bar part={one.allocs / largest}>{count(one.allocs)} <span class="quiet">{percent(one.allocs, all)}</span></Bar></li>)}</ol>
      </Panel>
    </>
  );
}
