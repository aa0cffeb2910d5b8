// The heap by address over time: how full each part is, where holes stay, and who keeps pages alive.
import { signal } from "@preact/signals";
import { bytes, count, percent, time } from "../model/format";
import { address, fullness, occupancy, owners, pins, rowsOf } from "../model/map";
import { model, moment, process as only, range, set } from "../store";
import { Canvas, inside } from "../ui/canvas";
import { picture } from "../ui/cells";
import { amounts, token } from "../ui/colours";
import { Bar, hideTip, Missing, Panel, showTip } from "../ui/parts";
import { SiteLink } from "../ui/site";

const chosen = signal<number | null>(null); // a row
const GUTTER = 8;

function words(v: number): string { return v === 0 ? "never held a block yet" : v === 1 ? "empty now" : `${percent(v - 2, 253)} occupied`; }

function process(number: number | undefined): string {
  const one = model.peek().report.about.processes.find((p) => p.number === number);
  return one ? `${one.program.replace(/^.*\//, "")} ${one.number}` : "";
}

export function MapView() {
  const m = model.value, map = m.report.map;
  if (!map) return <Missing what="This trace has no addresses, so there is no map of the heap. Recordings of allot's own have them; profiles and sampled files do not." command="allot record -o app.allot -- ./app" />;
  const cells = occupancy(map), n = m.n, [from, to] = range.value, now = Math.max(from, Math.min(to, moment.value));
  const rows = rowsOf(map, only.value), count_rows = rows.length, at_row = chosen.value === null ? -1 : rows.indexOf(chosen.value), row = at_row < 0 ? null : chosen.value;
  if (!count_rows) return <Missing what="This process never held a block that was recorded, so it has no map." />;
  const height = Math.max(220, Math.min(440, count_rows * 2)), columns = to - from + 1;
  const draw = (c: CanvasRenderingContext2D, width: number, tall: number) => {
    c.imageSmoothingEnabled = false;
    const wide = width - GUTTER;
    c.drawImage(picture(columns, count_rows, "map-empty", (r, i) => cells[rows[r]! * n + from + i]!), GUTTER, 0, wide, tall);
    let first = 0;
    c.fillStyle = token("quiet");
    map.extents.filter((extent) => only.value === null || extent.process === only.value).forEach((extent, e) => { // extents beside the map, with a line where addresses jump
      const y = (first / count_rows) * tall, h = (extent.rows / count_rows) * tall;
      c.globalAlpha = e % 2 ? 0.35 : 0.8;
      c.fillRect(0, y + 0.5, 4, Math.max(1, h - 1));
      c.globalAlpha = 1;
      if (e) { c.fillStyle = token("panel"); c.fillRect(GUTTER, y - 0.5, wide, 1.5); c.fillStyle = token("quiet"); }
      first += extent.rows;
    });
    c.strokeStyle = token("ink"); c.lineWidth = 1.5;
    const x = GUTTER + ((now - from + 1) / columns) * wide;
    c.beginPath(); c.moveTo(x - 0.75, 0); c.lineTo(x - 0.75, tall); c.stroke();
    if (row !== null) c.strokeRect(GUTTER, (at_row / count_rows) * tall - 1, wide, tall / count_rows + 2);
  };
  const holes = map.holes.slice(from, to + 1).reduce((a, b) => Math.max(a, b), 0);
  const drawHoles = (c: CanvasRenderingContext2D, width: number, tall: number) => { // under the map, on its axis of time
    const step = (width - GUTTER) / columns;
    c.fillStyle = token("resident");
    for (let i = from; i <= to; i++) {
      const h = ((map.holes[i] ?? 0) / Math.max(1, holes)) * (tall - 2);
      c.globalAlpha = i === now ? 1 : 0.45;
      const x = Math.round(GUTTER + (i - from) * step);
      c.fillRect(x, tall - h, Math.round(GUTTER + (i - from + 1) * step) - x, h);
    }
    c.globalAlpha = 1;
    c.fillStyle = token("line"); c.fillRect(GUTTER, tall - 1, width - GUTTER, 1);
  };
  const spot = (event: MouseEvent) => {
    const { x, y, width, height: tall } = inside(event);
    return { row: rows[Math.max(0, Math.min(count_rows - 1, Math.floor((y / tall) * count_rows)))]!, interval: from + Math.max(0, Math.min(columns - 1, Math.floor(((x - GUTTER) / (width - GUTTER)) * columns))) };
  };
  const press = (event: KeyboardEvent) => {
    const step = event.shiftKey ? 10 : 1, at = Math.max(0, at_row);
    if (event.key === "ArrowLeft" || event.key === "ArrowRight") set({ moment: Math.max(from, Math.min(to, now + (event.key === "ArrowLeft" ? -step : step))) });
    else if (event.key === "ArrowUp" || event.key === "ArrowDown") chosen.value = rows[Math.max(0, Math.min(count_rows - 1, at + (event.key === "ArrowUp" ? -step : step)))]!;
    else if (event.key === "Escape" && row !== null) chosen.value = null;
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const held = row === null ? null : owners(map, row, now), [none, thin, half, full] = fullness(map, rows, n, now), holding = thin + half + full;
  const kept = pins({ ...map, pin: map.pin.filter((p) => only.value === null || m.report.sites.process[p.site] === only.value) }, m.report.sites.place), most = Math.max(1, ...kept.map((p) => p.bytes - p.used)), ramp = amounts();
  const gradient = `linear-gradient(to right, ${[2, 64, 128, 192, 255].map((v) => `rgb(${ramp[v]!.map(Math.round).join(" ")})`).join(", ")})`;
  return (
    <>
      <Panel title="Heap map" note={`Addresses downwards (gaps left out, ${bytes(map.row_bytes)} a row), time to the right. Click: the moment and the row.`}
        tools={<ul class="legend"><li><i class="box" style={{ background: "var(--map-empty)" }} />empty again</li><li>sparse <i class="ramp" style={{ background: gradient }} /> full</li></ul>}>
        <Canvas height={height} label="Heap map. Left and right move the moment, up and down the row." id="map" class="canvas map" draw={draw} tabIndex={0} role="application" onKeyDown={press}
          onClick={(event) => { const at = spot(event); chosen.value = at.row; set({ moment: at.interval }); }}
          onMouseMove={(event) => {
            const at = spot(event), v = cells[at.row * n + at.interval]!;
            showTip(event, <><b>{words(v)}</b><div class="code">{address(map, at.row).text}{m.report.about.processes.length > 1 ? ` of ${process(map.extents[address(map, at.row).extent]?.process)}` : ""}</div><div>{time(m.end(at.interval), m.timed)}</div></>);
          }} onMouseLeave={hideTip} />
        <div class="strip">
          <h4>Holes within held pages <span class="quiet">at most {bytes(holes)} in the selection</span></h4>
          <Canvas height={44} id="holes" draw={drawHoles} label={`Bytes of holes within held pages over time, at most ${bytes(holes)}`} />
        </div>
        <div class="strip">
          <h4>All of it at {time(m.end(now), m.timed)}</h4>
          <Canvas height={26} label={`The heap at ${time(m.end(now), m.timed)}: of ${count_rows} rows ${none} are empty, ${thin} below a quarter full`} id="map-strip"
            draw={(c, width, tall) => { c.imageSmoothingEnabled = false; c.drawImage(picture(count_rows, 1, "map-empty", (_, r) => cells[rows[r]! * n + now]!), 0, 0, width, tall); if (row !== null) { c.strokeStyle = token("ink"); c.lineWidth = 2; c.strokeRect((at_row / count_rows) * width - 1, 1, width / count_rows + 2, tall - 2); } }}
            onClick={(event) => { const { x, width } = inside(event); chosen.value = rows[Math.max(0, Math.min(count_rows - 1, Math.floor((x / width) * count_rows)))]!; }} />
          <p class="note">{holding ? <>{percent(thin, holding)} of the parts that hold blocks are less than a quarter full; {bytes(none * map.row_bytes)} are empty again. </> : null}Holes within held pages: <b>{bytes(map.holes[now] ?? 0)}</b>.</p>
        </div>
        <div class="strip">
          <h4>{row === null ? "Who holds a row" : <>Row at <span class="code">{address(map, row).text}</span>, {words(cells[row * n + now]!)}</>}</h4>
          {row === null ? <p class="note">Click into the map, or move there with the arrow keys.</p> : !held ? <p class="note">No block was there at the moments of which owners are kept.</p> : (
            <><p class="note">As of {time(m.end(held.interval), m.timed)}.</p>
              <ul class="list">{held.sites.map((s, i) => <li key={s}><SiteLink site={s} /><Bar part={held.bytes[i]! / Math.max(...held.bytes)}>{bytes(held.bytes[i]!)}</Bar></li>)}</ul></>
          )}
        </div>
      </Panel>
      <Panel title="Who keeps pages alive" note={`${bytes(map.pages.held * map.pages.page_bytes)} of pages hold ${bytes(map.pages.used)} of blocks at ${time(map.pin_time ? m.end(m.interval(map.pin_time)) : m.end(n - 1), m.timed)}; the largest hole is ${bytes(map.pages.holes_largest)}. A place's score is the bytes of pages it keeps for each byte that it uses.`}>
        {kept.length ? (
          <table class="plain"><thead><tr><th>Place</th><th class="left">Kept beyond use</th><th class="wide">Of pages</th><th class="wide">Used</th><th class="wide">Pages alone</th><th>Score</th></tr></thead>
            <tbody>{kept.slice(0, 40).map((p) => <tr key={p.site}><td><SiteLink site={p.site} /></td><td><Bar part={(p.bytes - p.used) / most} tone="resident">{bytes(p.bytes - p.used)}</Bar></td><td class="wide">{bytes(p.bytes)}</td><td class="wide">{percent(p.used, p.bytes)}</td><td class="wide">{count(p.pages)}</td><td>{p.used ? (p.bytes / p.used).toFixed(1) : "–"}</td></tr>)}</tbody></table>
        ) : <p class="note">No site keeps more pages than its blocks need.</p>}
      </Panel>
    </>
  );
}
