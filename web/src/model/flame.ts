// The tree that the flame graph draws: the report's stacks with frames of one function merged, from the outermost caller inwards
// or (inverted) from the allocation outwards. The tree is built once for each way of looking; figures are summed into it anew.
//
// Nodes are in order: a parent comes before its children, so that one pass backwards sums.
import type { Model, Range } from "./model";

export const MODES = ["peak", "moment", "growth", "leaked", "temporary", "count", "bytes", "slack", "pinned"] as const;
export type Mode = (typeof MODES)[number];

export interface Tree {
  parent: Int32Array; frame: Int32Array; // one of the frames merged here
  at: Int32Array; // of a node of the report's stacks: its node here, -1 where no site ends
  first: Int32Array; child: Int32Array; // node v's children: child[first[v]] .. child[first[v + 1] - 1]
}

class Builder {
  parent = [-1]; frame = [0]; key = [-1];
  private known = new Map<number, number>();
  constructor(private readonly keys: number, private readonly merge: boolean) {}
  step(at: number, frame: number, key: number): number {
    if (this.merge) for (let up = at; up > 0; up = this.parent[up]!) if (this.key[up] === key) return up;
    const id = at * this.keys + key;
    let next = this.known.get(id);
    if (next === undefined) {
      next = this.parent.push(at) - 1;
      this.frame.push(frame);
      this.key.push(key);
      this.known.set(id, next);
    }
    return next;
  }
}

export function buildTree(model: Model, how: { invert: boolean; merge: boolean }): Tree {
  const { stacks, sites } = model.report, nodes = stacks.parent.length;
  const builder = new Builder(model.keys, how.merge), at = new Int32Array(nodes).fill(-1);
  if (how.invert) {
    const ends = new Set<number>(sites.node);
    model.report.diff?.node_before.node.forEach((node) => ends.add(node));
    for (const node of ends) {
      let here = 0;
      for (let up = node; up > 0; up = stacks.parent[up]!) here = builder.step(here, stacks.frame[up]!, model.key[stacks.frame[up]!]!);
      at[node] = here;
    }
  } else {
    at[0] = 0;
    for (let v = 1; v < nodes; v++) at[v] = builder.step(at[stacks.parent[v]!]!, stacks.frame[v]!, model.key[stacks.frame[v]!]!);
  }
  const count = builder.parent.length, parent = Int32Array.from(builder.parent);
  const first = new Int32Array(count + 1), child = new Int32Array(count - 1), fill = new Int32Array(count);
  for (let v = 1; v < count; v++) first[parent[v]! + 1]!++;
  for (let v = 0; v < count; v++) first[v + 1]! += first[v]!;
  for (let v = 1; v < count; v++) child[first[parent[v]!]! + fill[parent[v]!]!++] = v;
  return { parent, frame: Int32Array.from(builder.frame), at, first, child };
}

// What a mode shows of each site. `note` says where the figures are of more than the range.
export function siteValues(model: Model, mode: Mode, range: Range, moment: number, process: number | null): { values: Float64Array; note: string } {
  const { sites } = model.report, whole = model.isWhole(range), figures = model.figures(range);
  let values: Float64Array, note = "";
  switch (mode) {
    case "peak": values = figures.peak; break;
    case "moment": values = model.figures([range[0], Math.max(range[0], moment)]).after; break;
    case "growth": values = figures.after.map((b, s) => Math.max(0, b - figures.before[s]!)); break;
    case "temporary": values = figures.temporary; break;
    case "count": values = figures.allocs; break;
    case "bytes": values = figures.bytes; break;
    case "leaked": {
      const lost = sites.lost_bytes.some((b) => b > 0);
      values = Float64Array.from(lost ? sites.lost_bytes : sites.left_bytes);
      note = lost ? "" : "Nothing is known to be lost: this is what was still held at the end.";
      if (!whole) {
        values = values.map((b, s) => (figures.allocs[s]! > 0 ? b : 0));
        note += " Of sites that allocated in the selection.";
      }
      break;
    }
    case "slack":
      values = Float64Array.from(sites.slack, (b, s) => (whole ? b : sites.bytes[s] ? (b * figures.bytes[s]!) / sites.bytes[s]! : 0));
      if (!whole) note = "Each site's slack in proportion to what it allocated in the selection.";
      break;
    case "pinned":
      values = Float64Array.from(sites.pinned);
      if (!whole) note = `Pages are counted once, at ${model.report.map ? "the map's moment" : "the end"}: the selection does not change this.`;
      break;
  }
  if (process !== null) values = values.map((v, s) => (sites.process[s] === process ? v : 0));
  return { values, note: note.trim() };
}

export function sumTree(tree: Tree, nodes: ArrayLike<number>, values: ArrayLike<number>): Float64Array {
  const total = new Float64Array(tree.parent.length);
  for (let s = 0; s < nodes.length; s++) {
    const v = tree.at[nodes[s]!]!;
    if (v >= 0) total[v]! += values[s]!;
  }
  for (let v = total.length - 1; v > 0; v--) total[tree.parent[v]!]! += total[v]!;
  return total;
}

// Children largest first by these totals: kept while figures change, so that nothing jumps under a moving brush.
export function sortChildren(tree: Tree, by: Float64Array): void {
  for (let v = 0; v < tree.parent.length; v++) {
    const from = tree.first[v]!, to = tree.first[v + 1]!;
    if (to - from > 1) tree.child.subarray(from, to).sort((a, b) => by[b]! - by[a]! || a - b);
  }
}

export interface Box { node: number; depth: number; x: number; width: number } // x and width: shares of the picture

// Boxes wider than `least`, from `root` (and its ancestors, full width) down.
export function layout(tree: Tree, total: Float64Array, root: number, least: number): { boxes: Box[]; depth: number } {
  const boxes: Box[] = [], up: number[] = [];
  for (let v = root; v >= 0; v = tree.parent[v]!) up.unshift(v);
  up.forEach((node, depth) => boxes.push({ node, depth, x: 0, width: 1 }));
  let deepest = up.length;
  const whole = total[root]!;
  if (!(whole > 0)) return { boxes: boxes.slice(0, 1), depth: 1 };
  const todo: Box[] = [boxes[boxes.length - 1]!];
  while (todo.length) {
    const box = todo.pop()!;
    let x = box.x;
    for (let c = tree.first[box.node]!; c < tree.first[box.node + 1]!; c++) {
      const node = tree.child[c]!, width = total[node]! / whole;
      if (width >= least) {
        const next = { node, depth: box.depth + 1, x, width };
        boxes.push(next);
        todo.push(next);
        deepest = Math.max(deepest, next.depth + 1);
      }
      x += width;
    }
  }
  return { boxes, depth: deepest };
}
