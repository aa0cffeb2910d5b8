// Where memory comes from: the callers as boxes, the outermost on top, each as wide as what was allocated beneath it.
import { computed, signal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { buildTree, layout, MODES, siteValues, sortChildren, sumTree, type Box, type Mode, type Tree } from "../model/flame";
import { bytes, count, exact, percent, signed, time } from "../model/format";
import { invert, merge, mode, model, moment, process, query as searched, range, set, site as chosenSite, state, whole } from "../store";
import { Canvas, inside } from "../ui/canvas";
import { change, kind, token } from "../ui/colours";
import { Choice, hideTip, Missing, Panel, showTip, Switch } from "../ui/parts";

const ROW = 21;
const NAMES: Record<Mode, string> = { peak: "Peak", moment: "Moment", growth: "Growth", leaked: "Leaked", temporary: "Temporary", count: "Count", bytes: "Bytes", slack: "Slack", pinned: "Pinned pages" };
const SAYS: Record<Mode, string> = {
  peak: "Bytes held at the fullest moment of the selection", moment: "Bytes held at the moment", growth: "Bytes held at the selection's end above what was held at its begin",
  leaked: "Bytes that nothing points to at the end", temporary: "Allocations that lived only briefly", count: "Allocations", bytes: "Bytes allocated in all",
  slack: "Bytes that rounding up to size classes adds", pinned: "Bytes of pages that blocks keep, beyond what they use",
};
export const isCount = (mode: Mode) => mode === "count" || mode === "temporary";

const tree = computed<Tree>(() => buildTree(model.value, { invert: invert.value, merge: merge.value }));
const order = computed(() => { // by the mode's figures of the whole time, as a selection moves nothing
  const m = model.value, t = tree.value;
  sortChildren(t, sumTree(t, m.report.sites.node, siteValues(m, mode.value, m.whole, m.fullest(m.whole), process.value).values));
  return {};
});
const shown = computed(() => {
  void order.value;
  const { values, note } = siteValues(model.value, mode.value, range.value, mode.value === "moment" ? moment.value : 0, process.value);
  return { total: sumTree(tree.value, model.value.report.sites.node, values), note };
});
const before = computed(() => {
  const diff = model.value.report.diff?.node_before;
  if (!diff) return null;
  return sumTree(tree.value, diff.node, isCount(mode.value) ? diff.allocs : mode.value === "bytes" ? diff.bytes : diff.peak);
});
const found = computed(() => { // nodes of the searched functions; `outer` are those not below another one
  const query = searched.value.trim().toLowerCase(), m = model.value, t = tree.value;
  if (query === "") return null;
  const known = new Map<number, boolean>(), nodes = new Uint8Array(t.frame.length), below = new Uint8Array(t.frame.length), outer: number[] = [];
  let functions = 0;
  for (let v = 1; v < nodes.length; v++) {
    const f = t.frame[v]!, k = m.key[f]!;
    let is = known.get(k);
    if (is === undefined) {
      known.set(k, (is = `${m.frameName(f)} ${m.moduleName(f)} ${m.where(f)}`.toLowerCase().includes(query)));
      if (is) functions++;
    }
    nodes[v] = is ? 1 : 0;
    below[v] = below[t.parent[v]!]! | nodes[t.parent[v]!]!;
    if (is && !below[v]) outer.push(v);
  }
  return { nodes, functions, outer };
});
const hits = computed(() => (found.value ? { ...found.value, sum: found.value.outer.reduce((sum, v) => sum + shown.value.total[v]!, 0) } : null));
const zoom = signal<{ tree: Tree | null; node: number }>({ tree: null, node: 0 }), focus = signal<{ tree: Tree | null; node: number }>({ tree: null, node: 0 });
const at = (place: typeof zoom) => (place.value.tree === tree.value ? place.value.node : 0);
const into = (node: number) => { zoom.value = { tree: tree.value, node }; focus.value = { tree: tree.value, node }; };

function name(node: number): string {
  return node === 0 ? "everything" : model.value.frameShort(tree.value.frame[node]!);
}

function figure(x: number): string { return isCount(mode.value) ? `${count(x)} allocations` : bytes(x); }

function Details({ node }: { node: number }) {
  const m = model.value, t = tree.value, f = t.frame[node]!, { total } = shown.value, was = before.value;
  let own = total[node]!;
  for (let c = t.first[node]!; c < t.first[node + 1]!; c++) own -= total[t.child[c]!]!;
  return (
    <>
      <b class="code">{node === 0 ? "everything" : m.frameName(f)}</b>
      {node ? <div class="quiet">{[m.file(f), m.moduleName(f)].filter(Boolean).join(" · ")}</div> : null}
      <div><b>{figure(total[node]!)}</b>, {percent(total[node]!, total[0]!)} of all{node && own > 0 && own < total[node]! ? `; ${figure(own)} of it here` : ""}</div>
      {state.value.change && was ? <div>{signed(figure(total[node]! - was[node]!), total[node]! - was[node]!)} since the other run</div> : null}
    </>
  );
}

export function Flame() {
  const m = model.value, now = mode.value, changed = state.value.change, query = searched.value, t = tree.value;
  const { total, note } = shown.value, boxes = useRef<{ list: Box[]; rows: Box[][] }>({ list: [], rows: [] });
  if (!m.report.about.has_stacks) return <Missing what="This trace has no stacks, so nobody knows who allocated. Sizes, lifetimes, the heap map and the strategies are complete." command="allot record -o app.allot -- ./app" />;
  const empty = !(total[0]! > 0);
  const root = at(zoom), picture = layout(t, total, root, 1 / 1600);
  boxes.current.list = picture.boxes;
  boxes.current.rows = [];
  for (const box of picture.boxes) (boxes.current.rows[box.depth] ??= []).push(box);
  const hit = hits.value, was = before.value, site = chosenSite.value, chosen = new Set<number>();
  if (site !== null) for (let v = t.at[m.report.sites.node[site]!]!; v > 0; v = t.parent[v]!) chosen.add(v);
  const modes = MODES.filter((one) => one !== "pinned" || m.report.map || m.report.sites.pinned.some(Boolean));

  const modules = new Map<string, number>();
  const colour = (node: number) => {
    if (changed && was) {
      const now = total[node]!, then = was[node]!, most = Math.max(now, then);
      return change(most ? (now - then) / most : 0);
    }
    const module = m.moduleName(t.frame[node]!);
    let k = modules.get(module);
    if (k === undefined) modules.set(module, (k = modules.size));
    return kind(k);
  };
  for (const row of boxes.current.rows) for (const box of row) if (box.node && modules.size < 8 && !changed) colour(box.node);

  const draw = (c: CanvasRenderingContext2D, width: number) => {
    c.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    c.textBaseline = "middle";
    const ink = token("box-ink"), edge = token("panel"), mark = token("hit"), ring = token("ink"), faded = token("faded"), plain = token("box"), here = at(focus);
    for (const box of picture.boxes) {
      const x = box.x * width, w = box.width * width - (box.width * width > 3 ? 1 : 0), y = box.depth * ROW;
      const is = hit?.nodes[box.node], dim = hit && !is;
      c.fillStyle = is ? mark : dim ? faded : box.node === 0 ? plain : colour(box.node);
      c.globalAlpha = box.depth < picture.boxes.length && t.parent[root] !== undefined && box.width === 1 && box.node !== root && isAbove(box.node, root, t) ? 0.55 : 1;
      c.fillRect(x, y, Math.max(w, 0.6), ROW - 1);
      c.globalAlpha = 1;
      if (chosen.has(box.node) || box.node === here) {
        c.strokeStyle = ring; c.lineWidth = box.node === here ? 2 : 1;
        c.strokeRect(x + 1, y + 1, Math.max(0, w - 2), ROW - 3);
      }
      if (w > 28) {
        c.fillStyle = is ? token("hit-ink") : dim ? token("quiet") : ink;
        const text = box.node === 0 ? `everything: ${figure(total[0]!)}` : name(box.node), share = w > 220 && box.node ? percent(total[box.node]!, total[0]!) : "";
        const room = w - 10 - (share ? 46 : 0);
        c.fillText(fit(c, text, room), x + 5, y + ROW / 2);
        if (share) { c.globalAlpha = 0.7; c.textAlign = "right"; c.fillText(share, x + w - 5, y + ROW / 2); c.textAlign = "left"; c.globalAlpha = 1; }
      }
    }
    c.strokeStyle = edge;
  };
  const pick = (event: MouseEvent) => {
    const { x, y, width } = inside(event), share = x / width;
    return boxes.current.rows[Math.floor(y / ROW)]?.find((box) => share >= box.x && share < box.x + Math.max(box.width, 1 / width)) ?? null;
  };
  const press = (event: KeyboardEvent) => {
    const here = at(focus), up = t.parent[here]!;
    const visible = (v: number) => boxes.current.list.some((box) => box.node === v);
    let next = here;
    if (event.key === "ArrowUp") next = Math.max(0, up);
    else if (event.key === "ArrowDown") next = [...t.child.subarray(t.first[here]!, t.first[here + 1]!)].find(visible) ?? here;
    else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      const row = (boxes.current.rows[boxes.current.list.find((box) => box.node === here)?.depth ?? 0] ?? []).slice().sort((a, b) => a.x - b.x);
      next = row[row.findIndex((box) => box.node === here) + (event.key === "ArrowLeft" ? -1 : 1)]?.node ?? here;
    } else if (event.key === "Enter" || event.key === " ") { into(here); event.preventDefault(); return; }
    else if (event.key === "Backspace" || (event.key === "Escape" && root)) { into(Math.max(0, t.parent[root]!)); event.preventDefault(); event.stopPropagation(); return; }
    else return;
    event.preventDefault();
    focus.value = { tree: t, node: next };
  };

  const tools = (
    <>
      <Switch label="Inverted" on={invert.value} turn={(on) => set({ invert: on })} title="From the allocation outwards to its callers" />
      <Switch label="Merge recursion" on={merge.value} turn={(on) => set({ merge: on })} title="A function that calls itself is drawn once" />
      {was ? <Switch label="Colour by change" on={changed} turn={(on) => set({ change: on })} title="Orange: more than in the other run; blue: less" /> : null}
    </>
  );
  const says = `${SAYS[now]}${now === "peak" || now === "moment" ? `, ${time(now === "moment" ? m.end(moment.value) : whole.value ? m.report.about.peak.time : m.end(m.fullest(range.value)), m.timed)}` : ""}. ${note}`;
  return (
    <Panel title="Flame graph" note={says} tools={tools}>
      <Choice label="What the boxes' width is" value={now} choose={(value) => set({ mode: value })} options={modes.map((one) => [one, NAMES[one]] as const)} />
      {empty ? <Missing what={now === "leaked" ? "Nothing was held at the end: there is nothing to show here, and that is good." : now === "growth" ? "No site held more at the end of this selection than at its begin." : "Nothing of this kind in this selection."} /> : (
        <>
          <div class="scroll-y">
            <Canvas height={picture.depth * ROW} label={`Flame graph: ${SAYS[now]}. Arrow keys move, enter zooms in, escape zooms out.`} draw={draw} tabIndex={0} role="application" class="canvas flame" id="flame"
              onKeyDown={press} onClick={(event) => { const box = pick(event); if (box) into(box.node); }}
              onMouseMove={(event) => { const box = pick(event); if (box) showTip(event, <Details node={box.node} />); else hideTip(); }} onMouseLeave={hideTip} />
          </div>
          <div class="under">
            <p class="status" aria-live="polite">
              {hit ? <><b>{exact(hit.functions)}</b> {hit.functions === 1 ? "function" : "functions"} with “{query.trim()}”: <b>{figure(hit.sum)}</b>, {percent(hit.sum, total[0]!)}. </> : null}
              {at(focus) ? <><span class="code">{name(at(focus))}</span> {figure(total[at(focus)]!)}, {percent(total[at(focus)]!, total[0]!)}. </> : null}
              {root ? <button type="button" class="button" onClick={() => into(0)}>Everything</button> : null}
            </p>
            <ul class="legend">{changed && was ? <><li><i style={{ background: change(-0.9) }} />less than before</li><li><i style={{ background: change(0.9) }} />more</li></> : [...modules].slice(0, 8).map(([module, k]) => <li key={module}><i style={{ background: kind(k) }} />{module || "unknown"}</li>)}</ul>
          </div>
        </>
      )}
    </Panel>
  );
}

function isAbove(node: number, root: number, t: Tree): boolean {
  for (let v = t.parent[root]!; v >= 0; v = t.parent[v]!) if (v === node) return true;
  return false;
}

// The text, or as much of it as has room. Widths are kept by text, all of one font: measuring is what drawing would wait for.
const widths = new Map<string, number>();
export function fit(c: CanvasRenderingContext2D, text: string, room: number): string {
  let wide = widths.get(text);
  if (wide === undefined) {
    if (widths.size > 50000) widths.clear();
    widths.set(text, (wide = c.measureText(text).width));
  }
  if (wide <= room) return text;
  let length = Math.floor(((room - 9) / wide) * text.length); // about as many letters as have room
  while (length > 1 && c.measureText(text.slice(0, length)).width > room - 9) length--;
  return length > 1 ? `${text.slice(0, length)}…` : "";
}
