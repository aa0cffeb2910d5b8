// A short trace placed by small first, best, next and buddy fits, for the step-through.
import type { Steps } from "../src/data";

type Fit = "first" | "best" | "next" | "buddy";

function place(ops: Steps["ops"], fit: Fit): Steps["strategies"][number] {
  const at = new Map<number, { start: number; size: number }>();
  const out = { name: fit as string, op: [] as number[], block: [] as number[], start: [] as number[], size: [] as number[] };
  let roam = 0;
  const holes = () => {
    const blocks = [...at.values()].sort((a, b) => a.start - b.start), list: { start: number; size: number }[] = [];
    let end = 0;
    for (const b of blocks) {
      if (b.start > end) list.push({ start: end, size: b.start - end });
      end = b.start + b.size;
    }
    list.push({ start: end, size: Infinity });
    return list;
  };
  ops.forEach((op, i) => {
    at.delete(op.block);
    let now = { start: 0, size: 0 };
    if (op.kind !== "free") {
      const size = fit === "buddy" ? 2 ** Math.ceil(Math.log2(op.size)) : Math.ceil(op.size / 16) * 16 + 16;
      const fits = holes().flatMap((h) => {
        const start = fit === "buddy" ? Math.ceil(h.start / size) * size : h.start;
        return start + size <= h.start + h.size ? [{ start, size, hole: h.size }] : [];
      });
      const found = fit === "best" ? fits.reduce((a, b) => (b.hole < a.hole ? b : a)) : fit === "next" ? fits.find((f) => f.start >= roam) ?? fits[0]! : fits[0]!;
      now = { start: found.start, size };
      roam = found.start + size;
      at.set(op.block, now);
    }
    out.op.push(i); out.block.push(op.block); out.start.push(now.start); out.size.push(now.size);
  });
  return out;
}

export function placements(rand: () => number): Steps {
  const ops: Steps["ops"] = [], live: number[] = [];
  for (let i = 0, next = 0; i < 120; i++) {
    if (live.length > 4 && rand() < 0.44) ops.push({ kind: "free", block: live.splice(Math.floor(rand() * live.length), 1)[0]!, size: 0, site: 0 });
    else if (live.length > 4 && rand() < 0.08) {
      const block = live[Math.floor(rand() * live.length)]!;
      ops.push({ kind: "resize", block, size: 32 + Math.floor(rand() * 700), site: block % 5 });
    } else {
      ops.push({ kind: "alloc", block: next, size: rand() < 0.3 ? 300 + Math.floor(rand() * 500) : 24 + Math.floor(rand() * 120), site: next % 5 });
      live.push(next++);
    }
  }
  return { ops, strategies: (["first", "best", "next", "buddy"] as const).map((fit) => place(ops, fit)) };
}
