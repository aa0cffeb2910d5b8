// A canvas as wide as its place, sharp on any screen, drawn anew when what it draws from or the colours change: at most once a frame.
import { useSignalEffect } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { dark } from "../store";

export type Draw = (context: CanvasRenderingContext2D, width: number, height: number) => void;

interface Props extends Omit<JSX.HTMLAttributes<HTMLCanvasElement>, "height"> {
  height: number;
  label: string; // what a reader who does not see it is told
  draw: Draw;
}

export function Canvas({ height, label, draw, ...rest }: Props) {
  const ref = useRef<HTMLCanvasElement>(null);
  const now = useRef({ draw, frame: 0 });
  now.current.draw = draw;
  const soon = () => {
    const keep = now.current;
    if (keep.frame) return;
    keep.frame = requestAnimationFrame(() => {
      keep.frame = 0;
      const canvas = ref.current, width = canvas?.clientWidth ?? 0, tall = canvas?.clientHeight ?? 0;
      if (!canvas || !width || !tall) return;
      const scale = window.devicePixelRatio || 1, w = Math.round(width * scale), h = Math.round(tall * scale);
      if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
      const context = canvas.getContext("2d")!;
      context.setTransform(scale, 0, 0, scale, 0, 0);
      context.clearRect(0, 0, width, tall);
      keep.draw(context, width, tall);
    });
  };
  useLayoutEffect(soon);
  useSignalEffect(() => { void dark.value; soon(); });
  useEffect(() => {
    const watch = new ResizeObserver(soon);
    watch.observe(ref.current!);
    return () => { watch.disconnect(); cancelAnimationFrame(now.current.frame); now.current.frame = 0; };
  }, []);
  return <canvas ref={ref} style={{ height: `${height}px` }} class="canvas" role="img" aria-label={label} {...rest} />;
}

// Where a pointer is within its element.
export function inside(event: MouseEvent): { x: number; y: number; width: number; height: number } {
  const box = (event.currentTarget as Element).getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top, width: box.width, height: box.height };
}
