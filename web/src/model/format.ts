// Figures in words. Bytes in powers of 1024 as the command prints them, counts with separators until they get long.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

// Three figures that mean something: 1.25, 12.5, 125.
function three(x: number): string {
  const size = Math.abs(x);
  return x.toFixed(size >= 99.95 || Number.isInteger(x) ? 0 : size >= 9.995 ? 1 : 2);
}

export function bytes(b: number): string {
  let unit = 0, size = Math.abs(b);
  while (size >= 1023.5 && unit < UNITS.length - 1) { size /= 1024; unit++; }
  return `${b < 0 ? "−" : ""}${unit === 0 ? Math.round(size) : three(size)} ${UNITS[unit]}`;
}

export function count(n: number): string {
  const size = Math.abs(n), sign = n < 0 ? "−" : "";
  if (size < 1e5) return sign + Math.round(size).toLocaleString("en");
  if (size < 999.5e3) return `${sign}${three(size / 1e3)} k`;
  return size < 999.5e6 ? `${sign}${three(size / 1e6)} M` : `${sign}${three(size / 1e9)} G`;
}

export function exact(n: number): string { return Math.round(n).toLocaleString("en"); }

export function blocks(n: number): string { return `${count(n)} ${n === 1 ? "block" : "blocks"}`; }

export function percent(part: number, whole: number): string {
  if (!whole) return "–";
  const p = (100 * part) / whole;
  if (p !== 0 && Math.abs(p) < 0.1) return "< 0.1 %";
  if (p < 100 && p > 99.5) return p > 99.9 ? "> 99.9 %" : `${p.toFixed(1)} %`;
  return `${p.toFixed(Math.abs(p) >= 9.95 || Number.isInteger(p) ? 0 : 1).replace("-", "−")} %`;
}

export function signed(text: string, value: number): string { return value > 0 ? `+${text}` : text; }

export function duration(ns: number): string {
  const size = Math.abs(ns);
  if (size === 0) return "0 s";
  if (size < 1e3) return `${Math.round(ns)} ns`;
  if (size < 999.5e3) return `${three(ns / 1e3)} µs`;
  if (size < 999.5e6) return `${three(ns / 1e6)} ms`;
  if (size < 119.5e9) return `${three(ns / 1e9)} s`;
  const minutes = Math.floor(ns / 60e9);
  if (minutes < 120) return `${minutes} min ${Math.round(ns / 1e9 - minutes * 60)} s`;
  return `${three(ns / 3600e9)} h`;
}

// A time of the report: nanoseconds, or event numbers where the trace has no clock.
export function time(t: number, timed: boolean): string { return timed ? duration(t) : `event ${count(t)}`; }
export function span(t: number, timed: boolean): string { return timed ? duration(t) : `${count(t)} events`; }

// Lifetimes come by log2 of microseconds, or of events.
export function lifeBin(bin: number, timed: boolean): string { return timed ? duration(2 ** bin * 1e3) : count(2 ** bin); }
export function sizeBin(bin: number): string { return bytes(2 ** bin); }

// A function as it is spoken of: without parameters, template arguments folded.
export function shorten(name: string): string {
  let out = "", angle = 0, round = 0;
  for (let i = 0; i < name.length; i++) {
    const c = name[i]!;
    if (name.startsWith("operator", i) && !/\w/.test(name[i - 1] ?? "")) {
      const op = /^operator(\(\)|<=>|<<=|>>=|->\*|->|<<|>>|<=|>=|<|>)?/.exec(name.slice(i))![0];
      if (!angle && !round) out += op;
      i += op.length - 1;
    } else if (c === "<" && !round) {
      if (angle++ === 0) out += "<";
    } else if (c === ">" && !round && angle) {
      if (--angle === 0) out += out.endsWith("<") ? "…>" : ">";
    } else if (c === "(" && !angle) {
      if (round === 0 && name.startsWith("(anonymous namespace)", i)) { out += "(anon)"; i += 20; continue; }
      round++;
    } else if (c === ")" && !angle && round) {
      round--;
    } else if (!angle && !round) out += c;
  }
  return out.replace(/ const$/, "").trim() || name;
}
