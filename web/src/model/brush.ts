// The brush: a range of intervals, moved by pointer and keys. Whole means none.
export type Brush = [number, number] | null;
export type Zone = "left" | "right" | "body" | "outside";

export function settle(a: number, b: number, n: number): Brush {
  const low = Math.max(0, Math.min(a, b)), high = Math.min(n - 1, Math.max(a, b));
  return low <= 0 && high >= n - 1 ? null : [low, high];
}

// All of it moved by `step`, as wide as before.
export function shift(brush: [number, number], step: number, n: number): [number, number] {
  const width = brush[1] - brush[0], low = Math.max(0, Math.min(n - 1 - width, brush[0] + step));
  return [low, low + width];
}

// What a key does; null where it is not the brush's.
export function key(event: { key: string; shiftKey: boolean; ctrlKey: boolean }, brush: Brush, moment: number, n: number): { brush: Brush; moment: number | null } | null {
  const step = (event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0) * (event.ctrlKey ? 10 : 1);
  if (event.key === "Escape") return { brush: null, moment: null };
  if (event.key === "Home" || event.key === "End") {
    const to = event.key === "Home" ? 0 : n - 1;
    return brush ? { brush: shift(brush, event.key === "Home" ? -n : n, n), moment: null } : { brush, moment: to };
  }
  if (!step) return null;
  if (event.shiftKey) {
    const [from, to] = brush ?? [moment, moment];
    return { brush: settle(from, Math.max(from, Math.min(n - 1, to + step)), n), moment: null };
  }
  if (brush) return { brush: shift(brush, step, n), moment: null };
  return { brush, moment: Math.max(0, Math.min(n - 1, moment + step)) };
}

export function zone(x: number, left: number, right: number, grip = 8): Zone {
  if (Math.abs(x - left) <= grip && Math.abs(x - left) <= Math.abs(x - right)) return "left";
  if (Math.abs(x - right) <= grip) return "right";
  return x > left && x < right ? "body" : "outside";
}
