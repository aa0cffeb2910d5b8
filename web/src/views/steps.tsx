// How each strategy places and frees, block by block, for a short trace.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { bytes, exact } from "../model/format";
import { extent, layoutAt } from "../model/strategies";
import { dark, model } from "../store";
import { Canvas, inside } from "../ui/canvas";
import { kind, token } from "../ui/colours";
import { Choice, hideTip, Missing, Panel, showTip } from "../ui/parts";

const step = signal(0), playing = signal(false), speed = signal<"1" | "4" | "16">("4");
const HEIGHT = 34;

function Icon({ of }: { of: string }) { return <svg viewBox="0 0 16 16" class="solid" aria-hidden="true"><path d={of} /></svg>; }

export function StepsView() {
  const m = model.value, steps = m.report.strategies?.steps;
  if (!steps || !steps.ops.length) return <Missing what="Step by step is for short traces, of some hundred operations that can be watched one at a time. This one is longer, or was not replayed." command="allot report --strategies -o page.html SHORT.allot" />;
  const last = steps.ops.length - 1, i = Math.min(step.value, last), op = steps.ops[i]!;
  const go = (to: number) => { step.value = Math.max(0, Math.min(last, to)); };
  useEffect(() => {
    if (!playing.value) return undefined;
    const timer = setInterval(() => { if (step.peek() >= last) playing.value = false; else go(step.peek() + 1); }, 1000 / Number(speed.value));
    return () => clearInterval(timer);
  }, [playing.value, speed.value]);
  const play = () => { if (i >= last) go(0); playing.value = !playing.value; };
  const press = (event: KeyboardEvent) => {
    const far = event.shiftKey ? 10 : 1;
    if (event.key === "ArrowRight") go(i + far);
    else if (event.key === "ArrowLeft") go(i - far);
    else if (event.key === "Home") go(0);
    else if (event.key === "End") go(last);
    else if (event.key === " " && !(event.target instanceof HTMLButtonElement)) play();
    else return;
    if (event.key.startsWith("Arrow") && (event.target as Element).getAttribute("role") === "radio") return;
    playing.value = playing.value && event.key === " ";
    event.preventDefault();
    event.stopPropagation();
  };
  // One scale for all, but for those that spread over far more addresses: they have their own.
  const ranges = extent(steps), wide = ranges.map((r) => Math.max(1, r.to - r.from)), middle = wide.slice().sort((a, b) => a - b)[wide.length >> 1]!;
  const common = Math.max(...wide.filter((w) => w <= middle * 4));
  const site = (s: number) => (s >= 0 && s < m.count ? m.siteName(s) : "");
  const words = op.kind === "alloc" ? `Allocate block ${op.block}, ${exact(op.size)} bytes` : op.kind === "free" ? `Free block ${op.block}` : `Resize block ${op.block} to ${exact(op.size)} bytes`;
  return (
    <Panel title="Step by step" note="The same operations on each strategy, to one scale: where a block is placed, and what a free leaves behind."
      tools={<Choice label="Steps a second" value={speed.value} choose={(v) => { speed.value = v; }} options={[["1", "1 /s"], ["4", "4 /s"], ["16", "16 /s"]]} />}>
      <div class="steps" id="steps" tabIndex={0} role="application" aria-label="Step by step: left and right arrows step, space plays, home and end jump" onKeyDown={press}>
        <div class="player">
          <button type="button" class="button" aria-label="To the first step" onClick={() => go(0)}><Icon of="M3 3v10M13 3 6 8l7 5Z" /></button>
          <button type="button" class="button" aria-label="One step back" onClick={() => go(i - 1)} disabled={i === 0}><Icon of="M11.5 3 4.5 8l7 5Z" /></button>
          <button type="button" class="button main" aria-label={playing.value ? "Pause" : "Play"} onClick={play}>{playing.value ? "Pause" : "Play"}</button>
          <button type="button" class="button" aria-label="One step on" onClick={() => go(i + 1)} disabled={i === last}><Icon of="m4.5 3 7 5-7 5Z" /></button>
          <input type="range" min={0} max={last} value={i} aria-label="Step" onInput={(event) => { playing.value = false; go(Number(event.currentTarget.value)); }} />
          <span class="figure">{i + 1} / {last + 1}</span>
        </div>
        <p class="op" aria-live={playing.value ? "off" : "polite"}><b>{words}</b>{op.kind !== "free" && site(op.site) ? <span class="quiet"> from {site(op.site)}</span> : null}</p>
        <ul class="placings">
          {steps.strategies.map((strategy, k) => {
            const now = layoutAt(strategy, i), base = ranges[k]!.from, held = now.blocks.reduce((sum, b) => sum + b.size, 0), high = now.blocks.length ? now.blocks[now.blocks.length - 1]!.start + now.blocks[now.blocks.length - 1]!.size - base : 0;
            const widest = Math.max(common, wide[k]!);
            const placed = now.blocks.find((b) => now.touched.has(b.block));
            const draw = (c: CanvasRenderingContext2D, width: number, tall: number) => {
              const scale = width / widest, x = (a: number) => (a - base) * scale;
              void dark.value;
              c.fillStyle = token("well"); c.fillRect(0, 4, width, tall - 8);
              c.font = `10px ${getComputedStyle(document.body).fontFamily}`; c.textAlign = "center"; c.textBaseline = "middle";
              for (const b of now.blocks) {
                const w = Math.max(1, b.size * scale - 1), fresh = now.touched.has(b.block);
                c.fillStyle = fresh ? token("accent") : kind(steps.ops.find((o) => o.block === b.block)?.site ?? 0);
                c.fillRect(x(b.start), 4, w, tall - 8);
                if (w > 18) { c.fillStyle = fresh ? token("panel") : token("box-ink"); c.fillText(String(b.block), x(b.start) + w / 2, tall / 2); }
              }
              if (now.freed) { // what it left
                c.strokeStyle = token("bad"); c.lineWidth = 2; c.setLineDash([4, 3]);
                c.strokeRect(x(now.freed.start) + 1, 5, Math.max(2, now.freed.size * scale - 3), tall - 10);
                c.setLineDash([]);
              }
              c.fillStyle = token("ink"); c.fillRect(Math.max(0, x(base + high) - 1), 0, 2, tall);
            };
            return (
              <li key={strategy.name}>
                <div class="line"><b>{strategy.name}</b><span class="quiet">{bytes(held)} in blocks within {bytes(high)}, {bytes(Math.max(0, high - held))} in holes{placed ? `; placed at ${exact(placed.start - base)}` : ""}{widest > common ? "; drawn to a smaller scale" : ""}</span></div>
                <Canvas height={HEIGHT} draw={draw} label={`${strategy.name}: ${now.blocks.length} blocks within ${bytes(high)}`}
                  onMouseMove={(event) => { const { x, width } = inside(event), a = base + (x / width) * widest, b = now.blocks.find((one) => a >= one.start && a < one.start + one.size); if (b) showTip(event, <><b>block {b.block}</b><div>{exact(b.size)} bytes at {exact(b.start - base)}</div><div>{site(steps.ops.find((o) => o.block === b.block)?.site ?? -1)}</div></>); else hideTip(); }} onMouseLeave={hideTip} />
              </li>
            );
          })}
        </ul>
        <ul class="legend"><li><i class="box" style={{ background: "var(--accent)" }} />placed or moved by this step</li><li><i class="box dashed" />left by it</li><li><i class="box line" />end of the memory in use</li></ul>
      </div>
    </Panel>
  );
}
