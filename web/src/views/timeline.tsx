// Memory over time. Its brush is the time that all other views speak of; a click is the moment that they show.
import { signal, useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { key, settle, shift, zone, type Zone } from "../model/brush";
import { bytes, count, exact, signed, span, time } from "../model/format";
import { dark, model, moment, range, set, setSoon, state, whole } from "../store";
import { token } from "../ui/colours";
import { Choice, hideTip, showTip } from "../ui/parts";

type What = "memory" | "blocks" | "rate";
const what = signal<What>("memory");
const off = signal<ReadonlySet<string> | null>(null); // lines that are not drawn; null: nobody has chosen yet
interface Line { name: string; values: number[]; gaps?: boolean; // 0 is not known
  colour: string; fill?: boolean; dash?: number[]; width?: number; steps?: boolean }

function lines(): Line[] {
  const { timeline } = model.value.report;
  if (what.value === "blocks") return [{ name: "live blocks", values: timeline.blocks, colour: "live", fill: true, width: 1.5 }];
  if (what.value === "rate") return [
    { name: "allocations", values: timeline.allocs, colour: "live", fill: true, steps: true, width: 1 },
    { name: "frees", values: timeline.frees, colour: "resident", steps: true, width: 1.5 },
  ];
  const all: Line[] = [{ name: "live", values: timeline.live, colour: "live", fill: true, width: 1.5 }, { name: "most in each interval", values: timeline.high, colour: "high", width: 1 }];
  if (timeline.resident.some((b) => b > 0)) all.push({ name: "resident", values: timeline.resident, gaps: true, colour: "resident", width: 1.5 });
  if (timeline.mapped.some((b) => b > 0)) all.push({ name: "mapped", values: timeline.mapped, gaps: true, colour: "mapped", dash: [4, 4], width: 1 });
  return all;
}

// Address space can be many times what is in use: then it is drawn only for who asks for it.
function hidden(): ReadonlySet<string> {
  if (off.value) return off.value;
  const { high, resident, mapped } = model.value.report.timeline, most = (values: number[]) => values.reduce((a, b) => Math.max(a, b), 0);
  return new Set(most(mapped) > 2 * Math.max(most(high), most(resident)) ? ["mapped"] : []);
}
function turn(name: string): void {
  const next = new Set(hidden());
  if (!next.delete(name)) next.add(name);
  off.value = next;
}

const BINARY = Array.from({ length: 50 }, (_, i) => 2 ** i);

function options(width: number, height: number, drawn: Line[], placed: () => void): uPlot.Options {
  const { report, timed } = model.value, memory = what.value === "memory";
  const grid = { stroke: token("grid"), width: 1 }, font = `11px ${getComputedStyle(document.body).fontFamily}`;
  const wide = width > 560;
  return {
    width, height,
    legend: { show: false },
    padding: [10, 22, 0, 0],
    cursor: { drag: { x: false, y: false }, y: false, points: { show: false } },
    scales: { x: { time: false, range: [report.about.begin, model.value.end(model.value.n - 1)] }, y: { range: (_, __, most) => [0, (most || 1) * 1.1] } },
    axes: [
      { stroke: token("quiet"), grid: { show: false }, ticks: { ...grid, size: 4 }, font, size: 24, gap: 3, space: wide ? 80 : 64, values: (_, at) => at.map((t) => time(t, timed)) },
      { stroke: token("quiet"), grid, ticks: { show: false }, font, size: wide ? 66 : 54, gap: 6, space: 30, values: (_, at) => at.map((v) => (memory ? bytes(v) : count(v))), ...(memory ? { incrs: BINARY } : {}) },
    ],
    series: [{}, ...drawn.map((line): uPlot.Series => ({
      stroke: token(line.colour), width: line.width ?? 1, points: { show: false },
      ...(line.fill ? { fill: token(`${line.colour}-fill`) } : {}), ...(line.dash ? { dash: line.dash } : {}),
      ...(line.steps ? { paths: uPlot.paths.stepped!({ align: -1 }) } : {}),
    }))],
    hooks: { draw: [annotate, placed] },
  };
}

// The marks that the program set, and its peak.
function annotate(u: uPlot): void {
  const { about } = model.value.report, c = u.ctx, scale = devicePixelRatio || 1, { top, height, left, width } = u.bbox;
  c.save();
  c.font = `${11 * scale}px ${getComputedStyle(document.body).fontFamily}`;
  c.textAlign = "left";
  let free = -Infinity;
  for (const mark of about.marks.slice(0, 64)) {
    const x = Math.round(u.valToPos(mark.time, "x", true)) + 0.5;
    c.strokeStyle = token("quiet"); c.setLineDash([2 * scale, 3 * scale]); c.lineWidth = scale;
    c.beginPath(); c.moveTo(x, top); c.lineTo(x, top + height); c.stroke();
    const wide = c.measureText(mark.text).width;
    if (width > 480 * scale && x > free && x + wide < left + width) {
      c.fillStyle = token("quiet");
      c.fillText(mark.text, x + 4 * scale, top + 9 * scale);
      free = x + wide + 12 * scale;
    }
  }
  if (what.peek() === "memory" && !(hidden().has("live") && hidden().has("most in each interval"))) {
    const x = u.valToPos(about.peak.time, "x", true), y = u.valToPos(about.peak.bytes, "y", true), text = `peak ${bytes(about.peak.bytes)}`;
    c.setLineDash([]); c.fillStyle = token("ink"); c.strokeStyle = token("panel"); c.lineWidth = 2 * scale;
    c.beginPath(); c.arc(x, y, 3.5 * scale, 0, 7); c.stroke(); c.fill();
    c.font = `600 ${c.font}`;
    const wide = c.measureText(text).width, right = x + 10 * scale + wide < left + width, at = right ? x + 10 * scale : x - 10 * scale - wide, low = y - 7 * scale;
    c.lineJoin = "round"; c.lineWidth = 4 * scale; c.strokeText(text, at, low); c.fillText(text, at, low);
  }
  c.restore();
}

export function Summary() {
  const m = model.value, [from, to] = range.value, { timeline } = m.report;
  let allocs = 0, most = 0;
  for (let i = from; i <= to; i++) { allocs += timeline.allocs[i]!; most = Math.max(most, timeline.high[i]!); }
  const before = from ? timeline.live[from - 1]! : 0, grown = (timeline.live[to] ?? 0) - before, begin = m.start(from), end = m.end(to);
  return (
    <p class="selection" aria-live="polite">
      <b>{whole.value ? `All ${span(end - begin, m.timed)}` : `${time(begin, m.timed)} – ${time(end, m.timed)}`}</b>
      {whole.value ? null : <span class="more">{span(end - begin, m.timed)}</span>}
      <span>most {bytes(most)}</span><span>{signed(bytes(grown), grown)}</span><span class="more">{exact(allocs)} allocations</span>
      {whole.value ? <span class="hint">drag to select a time</span> : <button type="button" class="button" onClick={() => set({ brush: null, moment: null })}>All</button>}
    </p>
  );
}

export function Timeline() {
  const place = useRef<HTMLDivElement>(null), plot = useRef<uPlot | null>(null);
  const marks = useRef<{ brush: HTMLElement; needle: HTMLElement } | null>(null);

  const show = () => { // brush and moment where the plot has them
    const u = plot.current, m = model.value;
    if (!u || !marks.current) return;
    const { brush, needle } = marks.current;
    const [from, to] = range.value, x = (t: number) => u.valToPos(t, "x");
    brush.hidden = whole.value;
    brush.style.left = `${x(m.start(from))}px`;
    brush.style.width = `${Math.max(2, x(m.end(to)) - x(m.start(from)))}px`;
    needle.style.left = `${x(m.end(moment.value))}px`;
  };

  useEffect(() => {
    const at = place.current!;
    const watch = new ResizeObserver(() => {
      const u = plot.current, width = at.clientWidth, height = at.clientHeight;
      if (u && width && height && (u.width !== width || u.height !== height)) u.setSize({ width, height });
    });
    watch.observe(at);
    return () => { watch.disconnect(); plot.current?.destroy(); plot.current = null; };
  }, []);

  useSignalEffect(() => { // drawn anew for other lines and colours
    void dark.value;
    const at = place.current!, drawn = lines().filter((line) => !hidden().has(line.name)), m = model.value;
    plot.current?.destroy();
    const first = (line: Line) => (line.gaps ? null : line.steps ? line.values[0] ?? 0 : 0), values = (line: Line) => (line.gaps ? line.values.map((v) => v || null) : line.values);
    const data: uPlot.AlignedData = [[m.report.about.begin, ...m.report.times], ...drawn.map((line) => [first(line), ...values(line)])];
    const u = new uPlot(options(at.clientWidth, at.clientHeight, drawn, show), data, at);
    const brush = document.createElement("div"), needle = document.createElement("div");
    brush.className = "brush";
    needle.className = "needle";
    brush.append(document.createElement("i"), document.createElement("i"));
    u.over.append(needle, brush);
    marks.current = { brush, needle };
    u.ctx.canvas.setAttribute("aria-hidden", "true"); // the plot around it says what it is
    plot.current = u;
    listen(u);
  });
  useSignalEffect(() => { void range.value; void moment.value; show(); });

  return (
    <section class="timeline" aria-label="Memory over time">
      <div class="above">
        <Choice label="What the timeline shows" value={what.value} choose={(v) => { what.value = v; }} options={[["memory", "Memory"], ["blocks", "Blocks"], ["rate", "Rate"]]} />
        <Summary />
        <ul class="legend" aria-label="Lines">{lines().map((line) => <li key={line.name}><button type="button" aria-pressed={!hidden().has(line.name)} onClick={() => turn(line.name)}><i style={{ background: `var(--${line.colour})` }} class={line.dash ? "dashed" : ""} />{line.name}</button></li>)}</ul>
      </div>
      <div class="plot" ref={place} id="timeline" tabIndex={0} role="application" onKeyDown={press}
        aria-label="Timeline. Left and right arrows move the selection or the moment, with shift they widen it, escape selects all." />
    </section>
  );
}

function press(event: KeyboardEvent): void {
  const next = key(event, state.peek().brush, moment.peek(), model.peek().n);
  if (!next) return;
  event.preventDefault();
  set(next);
}

// The pointer on the plot: it makes, moves and widens the brush; without moving it chooses the moment.
function listen(u: uPlot): void {
  const over = u.over, m = model.peek();
  let held: { zone: Zone; x: number; at: number; brush: [number, number]; moved: boolean } | null = null;
  const where = (event: PointerEvent) => event.clientX - over.getBoundingClientRect().left;
  const interval = (x: number) => m.interval(u.posToVal(Math.max(0, Math.min(over.clientWidth, x)), "x"));
  const zoneAt = (x: number): Zone => {
    const b = state.peek().brush;
    return b ? zone(x, u.valToPos(m.start(b[0]), "x"), u.valToPos(m.end(b[1]), "x")) : "outside";
  };
  over.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    const x = where(event), b = state.peek().brush;
    held = { zone: zoneAt(x), x, at: interval(x), brush: b ? [...b] : [0, 0], moved: false };
    over.setPointerCapture(event.pointerId);
  });
  over.addEventListener("pointermove", (event) => {
    const x = where(event), i = interval(x);
    if (!held) {
      const z = zoneAt(x);
      over.style.cursor = z === "left" || z === "right" ? "ew-resize" : z === "body" ? "grab" : "crosshair";
      const point = lines().filter((line) => !line.gaps || line.values[i]).map((line) => `${line.name} ${what.peek() === "memory" ? bytes(line.values[i]!) : count(line.values[i]!)}`);
      showTip(event, <><b>{time(m.end(i), m.timed)}</b>{point.map((text) => <div key={text}>{text}</div>)}</>);
      return;
    }
    if (!held.moved && Math.abs(x - held.x) < 4) return;
    held.moved = true;
    hideTip();
    const [a, b] = held.brush;
    const next = held.zone === "left" ? settle(i, b, m.n) : held.zone === "right" ? settle(a, i, m.n)
      : held.zone === "body" ? shift([a, b], i - held.at, m.n) : settle(held.at, i, m.n);
    setSoon({ brush: next, moment: null });
  });
  over.addEventListener("pointerup", () => {
    if (held && !held.moved) setSoon(held.zone === "outside" ? { brush: null, moment: held.at } : { moment: held.at });
    held = null;
  });
  over.addEventListener("pointercancel", () => { held = null; });
  over.addEventListener("pointerleave", hideTip);
  over.addEventListener("dblclick", () => setSoon({ brush: null, moment: null }));
}
