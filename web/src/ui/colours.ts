// Colours for canvases: the style sheet's tokens, resolved for the scheme in use, and ramps. Hues are told apart by readers who do
// not see red and green as others do: blue against orange for less and more, one ramp of rising lightness for amounts.
import { dark } from "../store";

let cache = new Map<string, string>(), of: boolean | null = null;

export function token(name: string): string {
  if (of !== dark.value) { cache = new Map(); of = dark.value; }
  let colour = cache.get(name);
  if (colour === undefined) {
    const probe = document.createElement("i");
    probe.style.color = `var(--${name})`;
    document.body.append(probe);
    colour = getComputedStyle(probe).color;
    probe.remove();
    cache.set(name, colour);
  }
  return colour;
}

type RGB = readonly [number, number, number];
const rgb = (hex: string): RGB => [parseInt(hex.slice(1, 3), 16), parseInt(hex.slice(3, 5), 16), parseInt(hex.slice(5, 7), 16)];

// 256 colours through the stops.
function ramp(stops: string[]): RGB[] {
  const points = stops.map(rgb);
  return Array.from({ length: 256 }, (_, i) => {
    const x = (i / 255) * (points.length - 1), k = Math.min(points.length - 2, Math.floor(x)), t = x - k;
    const a = points[k]!, b = points[k + 1]!;
    return [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t] as const;
  });
}

const LIGHT = ramp(["#e9f0e4", "#b5dcc6", "#62b3b9", "#2d7ba3", "#214c85", "#1b2a5c"]);
const DARK = ramp(["#1d2b38", "#1f4a68", "#20748a", "#3fa292", "#93cb93", "#f0ecae"]);
export function amounts(): RGB[] { return dark.value ? DARK : LIGHT; }

const LESS_MORE_LIGHT = ramp(["#2b6cb0", "#8db8de", "#e8e6e1", "#efb27c", "#c2570c"]);
const LESS_MORE_DARK = ramp(["#63a7e6", "#34618f", "#3a3f46", "#8d5a2b", "#f29a4a"]);
// -1 much less, 0 the same, 1 much more.
export function change(x: number): string {
  const [r, g, b] = (dark.value ? LESS_MORE_DARK : LESS_MORE_LIGHT)[Math.round((Math.max(-1, Math.min(1, x)) + 1) * 127.5)]!;
  return `rgb(${r | 0} ${g | 0} ${b | 0})`;
}
export function amount(x: number): string {
  const [r, g, b] = amounts()[Math.round(Math.max(0, Math.min(1, x)) * 255)]!;
  return `rgb(${r | 0} ${g | 0} ${b | 0})`;
}

// Distinct colours for things without an order (modules, sites of a short trace).
const KINDS_LIGHT = ["#8fbfe0", "#f2bf86", "#9fd3b8", "#d9b3d6", "#e6d982", "#9ecfd6", "#e8a99a", "#c3c7d4"];
const KINDS_DARK = ["#3b6f96", "#96652f", "#37745a", "#75507a", "#7a7030", "#35717b", "#8b4b3f", "#565d6e"];
export function kind(i: number): string { return (dark.value ? KINDS_DARK : KINDS_LIGHT)[i % 8]!; }
