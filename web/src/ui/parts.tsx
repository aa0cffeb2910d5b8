// The page's small parts.
import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";

export function Panel({ title, note, tools, children, id }: { title: string; note?: ComponentChildren; tools?: ComponentChildren; children: ComponentChildren; id?: string }) {
  return (
    <section class="panel" aria-label={title} id={id}>
      <header>
        <div><h3>{title}</h3>{note ? <p class="note">{note}</p> : null}</div>
        {tools ? <div class="tools">{tools}</div> : null}
      </header>
      {children}
    </section>
  );
}

// One of a few. Arrow keys move, as among radio buttons.
export function Choice<T extends string>({ label, options, value, choose }: { label: string; options: readonly (readonly [T, string])[]; value: T; choose: (value: T) => void }) {
  const move = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const at = options.findIndex(([name]) => name === value), next = (at + step + options.length) % options.length;
    choose(options[next]![0]);
    ((event.currentTarget as Element).children[next] as HTMLElement).focus();
  };
  return (
    <div class="choice" role="radiogroup" aria-label={label} onKeyDown={move}>
      {options.map(([name, text]) => (
        <button key={name} type="button" role="radio" aria-checked={name === value} tabIndex={name === value ? 0 : -1} onClick={() => choose(name)}>{text}</button>
      ))}
    </div>
  );
}

export function Switch({ label, on, turn, title }: { label: string; on: boolean; turn: (on: boolean) => void; title?: string }) {
  return <button type="button" class="switch" role="switch" aria-checked={on} title={title} onClick={() => turn(!on)}><i aria-hidden="true" />{label}</button>;
}

export function Missing({ what, command }: { what: string; command?: string }) {
  return <div class="missing"><p>{what}</p>{command ? <p><code>{command}</code></p> : null}</div>;
}

// A share of the largest, as a bar behind a figure.
export function Bar({ part, tone = "accent", children }: { part: number; tone?: string; children: ComponentChildren }) {
  return <span class="bar"><i style={{ width: `${Math.max(0, Math.min(1, part || 0)) * 100}%`, background: `var(--${tone})` }} /><span>{children}</span></span>;
}

export function Spark({ values, label, stretch }: { values: ArrayLike<number>; label: string; stretch?: boolean }) {
  const W = 84, H = 22, most = Math.max(1, ...Array.from(values)), step = W / Math.max(1, values.length - 1);
  let line = "";
  for (let i = 0; i < values.length; i++) line += `${i ? "L" : "M"}${(i * step).toFixed(1)} ${(H - 1 - (values[i]! / most) * (H - 3)).toFixed(1)}`;
  return <svg class="spark" viewBox={`0 0 ${W} ${H}`} width={W} height={H} preserveAspectRatio={stretch ? "none" : undefined} role="img" aria-label={label}><path class="area" d={`${line}L${W} ${H}L0 ${H}Z`} /><path d={line} /></svg>;
}

export function Copy({ text, label = "Copy as text" }: { text: () => string; label?: string }) {
  const button = useRef<HTMLButtonElement>(null);
  const copy = async () => {
    const words = text();
    let done = true;
    try { await navigator.clipboard.writeText(words); } catch { done = fallback(words); }
    const b = button.current;
    if (!b) return;
    b.textContent = done ? "Copied" : "The browser refused";
    setTimeout(() => { if (button.current) button.current.textContent = label; }, 1200);
  };
  return <button ref={button} type="button" class="button" onClick={copy}>{label}</button>;
}

// A page from disk may be without the clipboard's interface.
function fallback(text: string): boolean {
  const area = document.createElement("textarea");
  area.value = text;
  area.style.cssText = "position:fixed;opacity:0";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

interface Tip { x: number; y: number; content: ComponentChildren }
export const tip = signal<Tip | null>(null);
export function showTip(event: MouseEvent, content: ComponentChildren): void { tip.value = { x: event.clientX, y: event.clientY, content }; }
export function hideTip(): void { if (tip.peek()) tip.value = null; }

export function Tooltip() {
  const ref = useRef<HTMLDivElement>(null), now = tip.value;
  useLayoutEffect(() => {
    const box = ref.current;
    if (!box || !now) return;
    const { width, height } = box.getBoundingClientRect();
    const left = now.x + 14 + width > innerWidth ? Math.max(4, now.x - width - 10) : now.x + 14;
    const top = now.y + 18 + height > innerHeight ? Math.max(4, now.y - height - 10) : now.y + 18;
    box.style.transform = `translate(${left}px, ${top}px)`;
  });
  return now ? <div ref={ref} class="tip" role="presentation">{now.content}</div> : null;
}

// Pairs of a name and a figure.
export function Facts({ of }: { of: readonly (readonly [string, ComponentChildren])[] }) {
  return <dl class="facts">{of.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>;
}
