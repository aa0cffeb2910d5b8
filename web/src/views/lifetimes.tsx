// How long blocks live, by size: what dies young and small wants an arena or a cache, what lives long wants to lie apart.
import { signal } from "@preact/signals";
import { bytes, count, exact, lifeBin, percent, sizeBin } from "../model/format";
import { cellKey, lifeCells } from "../model/tallies";
import { model, range } from "../store";
import { Canvas, inside } from "../ui/canvas";
import { amount, token } from "../ui/colours";
import { Bar, Choice, hideTip, Missing, Panel, showTip } from "../ui/parts";
import { SiteLink } from "../ui/site";

const what = signal<"blocks" | "bytes">("blocks");
const chosen = signal<[number, number] | null>(null); // size and life
const LEFT = 62, FOOT = 24;

export function Lifetimes() {
  const m = model.value, of = what.value, lives = lifeCells(m, range.value), at = chosen.value;
  if (!m.report.lifetimes.interval.length) return <Missing what="No block of this trace died while it was recorded, so there are no lifetimes." />;
  const [s0, s1] = lives.sizes, [l0, l1] = lives.lives, columns = l1 - l0 + 1, rows = s1 - s0 + 1;
  const shade = (x: number) => (x > 0 ? 0.08 + 0.92 * (Math.log1p(x) / Math.log1p(lives.most[of])) : 0);
  const draw = (c: CanvasRenderingContext2D, width: number, tall: number) => {
    const step = (width - LEFT) / columns, row = (tall - FOOT) / rows;
    c.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    c.textBaseline = "middle";
    for (let s = s0; s <= s1; s++) {
      const y = tall - FOOT - (s - s0 + 1) * row;
      c.textAlign = "right"; c.fillStyle = token("quiet");
      c.fillText(sizeBin(s), LEFT - 8, y + row / 2);
      for (let l = l0; l <= l1; l++) {
        const cell = lives.cells.get(cellKey(s, l)), x = LEFT + (l - l0) * step;
        c.fillStyle = cell?.[of] ? amount(shade(cell[of])) : token("well");
        c.fillRect(x, y, Math.max(1, step - 1), Math.max(1, row - 1));
        if (at && at[0] === s && at[1] === l) { c.strokeStyle = token("ink"); c.lineWidth = 2; c.strokeRect(x + 1, y + 1, step - 3, row - 3); }
      }
    }
    c.textAlign = "center"; c.fillStyle = token("quiet");
    const every = Math.max(1, Math.ceil(52 / step));
    for (let l = l0; l <= l1; l += every) c.fillText(lifeBin(l, m.timed), LEFT + (l - l0 + 0.5) * step, tall - FOOT / 2);
  };
  const spot = (event: MouseEvent): [number, number] | null => {
    const { x, y, width, height } = inside(event), l = l0 + Math.floor(((x - LEFT) / (width - LEFT)) * columns), s = s0 + Math.floor(((height - FOOT - y) / (height - FOOT)) * rows);
    return x < LEFT || s < s0 || s > s1 || l > l1 ? null : [s, l];
  };
  const press = (event: KeyboardEvent) => {
    const move = ({ ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [1, 0], ArrowDown: [-1, 0] } as Record<string, [number, number]>)[event.key];
    if (event.key === "Escape" && at) chosen.value = null;
    else if (move) chosen.value = at ? [Math.max(s0, Math.min(s1, at[0] + move[0])), Math.max(l0, Math.min(l1, at[1] + move[1]))] : [s0, l0];
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const describe = ([s, l]: [number, number]) => `${sizeBin(s)} to ${sizeBin(s + 1)}, lived ${lifeBin(l, m.timed)} to ${lifeBin(l + 1, m.timed)}`;
  const top = m.report.lifetimes.site_top.filter((one) => !at || (one.size === at[0] && one.life === at[1])).sort((a, b) => b.blocks - a.blocks).slice(0, 12);
  const cell = at ? lives.cells.get(cellKey(at[0], at[1])) : undefined;
  return (
    <>
      <Panel title="Lifetime by size" note={`${exact(lives.blocks)} blocks born in the selection that have died. Small and short-lived is at the lower left: an arena's or a cache's work. Stronger colour is more, by orders of magnitude.`}
        tools={<Choice label="Colour shows" value={of} choose={(v) => { what.value = v; }} options={[["blocks", "Blocks"], ["bytes", "Bytes"]]} />}>
        <Canvas height={rows * (rows > 14 ? 20 : 26) + FOOT} id="lifetimes" class="canvas" tabIndex={0} role="application" draw={draw} onKeyDown={press} label="Lifetime by size; arrows choose a cell"
          onClick={(event) => { chosen.value = spot(event); }}
          onMouseMove={(event) => {
            const here = spot(event), one = here && lives.cells.get(cellKey(...here));
            if (here) showTip(event, <><b>{describe(here)}</b><div>{one ? `${exact(one.blocks)} blocks, ${bytes(one.bytes)}` : "none"}</div></>); else hideTip();
          }} onMouseLeave={hideTip} />
      </Panel>
      <Panel title={at ? "Who fills this cell most" : "Who fills the cells most"} note={at ? `${describe(at)}: ${cell ? `${exact(cell.blocks)} blocks, ${percent(cell.blocks, lives.blocks)} of all, ${bytes(cell.bytes)}` : "none in the selection"}` : "Each cell's first site, over the whole run."}>
        {top.length ? <ul class="list">{top.map((one) => <li key={`${one.size}.${one.life}`}><SiteLink site={one.site} /><Bar part={one.blocks / top[0]!.blocks}>{count(one.blocks)} <span class="quiet">of {sizeBin(one.size)}, {lifeBin(one.life, m.timed)}</span></Bar></li>)}</ul>
          : <p class="note">{m.report.about.has_stacks ? "No site stands out here." : "This trace has no stacks, so nobody knows whose blocks these were."}</p>}
      </Panel>
    </>
  );
}
