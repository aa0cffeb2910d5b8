// A report of a program that never ran, for the tests and for work on the page: a server whose cache grows, whose parser storms
// through temporaries, whose sessions leak and whose log buffers keep nearly empty pages. The same seed gives the same report.
import type { Frames, HeapMap, Report, Sites, Stacks, Strategies, Strategy } from "../src/data";
import { placements } from "./fixture_steps";

export interface Wanted { sites?: number; intervals?: number; seed?: number; timed?: boolean; diff?: boolean; bare?: boolean; worker?: boolean } // worker: the worker is a process of its own

const NS = 1e9;

export function random(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

type Kind = "steady" | "ramp" | "growth" | "leak" | "temporary" | "burst" | "realloc" | "pin";
interface Plan { path: string[]; kind: Kind; size: number; blocks: number; rate: number; life: number }

const MAIN = ["libc.so.6|__libc_start_main|", "server|main|server.cpp:41"];
const LOOP = [...MAIN, "server|Server::run()|server.cpp:212", "server|EventLoop::turn(int)|loop.cpp:88"];
const REQ = [...LOOP, "server|Connection::on_readable()|connection.cpp:57", "server|Request::handle(Session&)|request.cpp:133"];
const PLANS: Plan[] = [
  { path: [...MAIN, "server|Config::load(std::string const&)|config.cpp:30", "libstdc++.so.6|std::string::_M_create(unsigned long&, unsigned long)|basic_string.tcc:153"], kind: "steady", size: 64, blocks: 4000, rate: 2, life: 1e7 },
  { path: [...MAIN, "server|Index::build()|index.cpp:77", "server|Index::insert(Key const&, Posting)|index.cpp:140", "server|std::vector<Posting>::_M_realloc_insert|vector.tcc:445"], kind: "realloc", size: 1536, blocks: 9000, rate: 300, life: 3e5 },
  { path: [...REQ, "server|json::parse(std::string_view)|json.cpp:210", "server|json::Parser::object()|json.cpp:122", "server|json::Parser::value()|json.cpp:95", "server|json::Parser::object()|json.cpp:122", "server|json::Node::make(Kind)|json.cpp:31"], kind: "temporary", size: 48, blocks: 300, rate: 9000, life: 120 },
  { path: [...REQ, "server|json::parse(std::string_view)|json.cpp:210", "server|json::Parser::string()|json.cpp:71", "libstdc++.so.6|std::string::_M_create(unsigned long&, unsigned long)|basic_string.tcc:153"], kind: "temporary", size: 33, blocks: 150, rate: 5200, life: 90 },
  { path: [...REQ, "server|Cache::put(Key, Entry)|cache.cpp:64", "server|std::_Hashtable<Key, Entry>::_M_insert|hashtable.h:1880"], kind: "growth", size: 512, blocks: 70000, rate: 450, life: 4e7 },
  { path: [...REQ, "server|Session::create(User const&)|session.cpp:19"], kind: "leak", size: 232, blocks: 22000, rate: 140, life: 2e6 },
  { path: [...REQ, "server|Session::create(User const&)|session.cpp:19", "server|Token::issue()|token.cpp:12"], kind: "leak", size: 96, blocks: 22000, rate: 140, life: 2e6 },
  { path: [...REQ, "server|render(Template const&, Context&)|render.cpp:301", "server|Buffer::grow(unsigned long)|buffer.cpp:44", "libc.so.6|realloc|"], kind: "realloc", size: 8200, blocks: 900, rate: 700, life: 4e3 },
  { path: [...REQ, "server|render(Template const&, Context&)|render.cpp:301", "server|Template::expand(Scope&)|template.cpp:88", "server|Template::expand(Scope&)|template.cpp:88", "server|Scope::Scope(Scope*)|template.cpp:17"], kind: "temporary", size: 120, blocks: 400, rate: 2600, life: 800 },
  { path: [...LOOP, "server|Log::write(Level, char const*)|log.cpp:52", "server|Log::Record::Record|log.cpp:20"], kind: "pin", size: 208, blocks: 2600, rate: 90, life: 2e7 },
  { path: [...LOOP, "server|Server::compact()|server.cpp:340", "server|Snapshot::write(Index const&)|snapshot.cpp:61"], kind: "burst", size: 65536, blocks: 420, rate: 60, life: 6e5 },
  { path: ["libc.so.6|start_thread|", "server|Worker::run()|worker.cpp:25", "server|Worker::resize(Image&)|worker.cpp:70", "libjpeg.so.62|jpeg_read_scanlines|"], kind: "burst", size: 24576, blocks: 160, rate: 120, life: 9e3 },
  { path: ["libc.so.6|start_thread|", "server|Worker::run()|worker.cpp:25", "server|Queue<Job>::push(Job)|queue.h:33"], kind: "temporary", size: 40, blocks: 220, rate: 1800, life: 1500 },
  { path: ["libc.so.6|start_thread|", "server|Worker::run()|worker.cpp:25", "libsqlite3.so.0|sqlite3_step|", "libsqlite3.so.0|sqlite3VdbeExec|", "libsqlite3.so.0|sqlite3PagerGet|"], kind: "ramp", size: 4360, blocks: 1900, rate: 40, life: 3e6 },
];

class Strings {
  list = [""];
  private known = new Map([["", 0]]);
  of(text: string): number {
    let at = this.known.get(text);
    if (at === undefined) this.known.set(text, (at = this.list.push(text) - 1));
    return at;
  }
}

function curve(kind: Kind, x: number, r: number): number { // share of `blocks` that live at x of the run
  switch (kind) {
    case "steady": return Math.min(1, x * 30);
    case "ramp": return Math.min(1, x * 1.6);
    case "growth": return x < 0.08 ? 0 : (x - 0.08) / 0.92;
    case "leak": return Math.max(0, (x - 0.15) / 0.85);
    case "temporary": return 0.6 + 0.8 * r;
    case "burst": return x > 0.55 && x < 0.68 ? 0.75 + 0.5 * r : 0.04 * r;
    case "realloc": return Math.min(1, x * 6) * (0.9 + 0.2 * r);
    case "pin": return Math.min(1, x * 2.2);
  }
}

export function fixture(wanted: Wanted = {}): Report {
  const n = wanted.intervals ?? 160, count = Math.max(wanted.sites ?? PLANS.length, PLANS.length);
  const rand = random(wanted.seed ?? 7);
  const strings = new Strings();
  const frames: Frames = { function: [0], file: [0], line: [0], module: [0] };
  const frame_of = new Map<string, number>();
  const stacks: Stacks = { parent: [0], frame: [0] };
  const node_of = new Map<string, number>();
  const frame = (text: string): number => {
    const known = frame_of.get(text);
    if (known !== undefined) return known;
    const [module, name, where] = text.split("|");
    const [file, line] = where ? where.split(":") : ["", "0"];
    frames.function.push(strings.of(name!));
    frames.file.push(strings.of(file ? `src/${file}` : ""));
    frames.line.push(Number(line));
    frames.module.push(strings.of(module!));
    frame_of.set(text, frames.function.length - 1);
    return frames.function.length - 1;
  };
  const node = (path: string[]): number => {
    let at = 0;
    for (const step of path) {
      const f = frame(step), key = `${at}/${f}`;
      let next = node_of.get(key);
      if (next === undefined) {
        next = stacks.parent.push(at) - 1;
        stacks.frame.push(f);
        node_of.set(key, next);
      }
      at = next;
    }
    return at;
  };

  const plans = [...PLANS];
  while (plans.length < count) { // more of the same from other callers, each smaller
    const like = PLANS[Math.floor(rand() * PLANS.length)]!, k = plans.length, small = 0.02 + 0.3 * rand() * (PLANS.length / k);
    const path = [...like.path];
    path.splice(2 + Math.floor(rand() * (path.length - 2)), 0, `server|handler_${k % 97}::step_${Math.floor(k / 7)}(Request&)|handlers/h${k % 97}.cpp:${10 + (k % 300)}`);
    plans.push({ ...like, path, blocks: Math.ceil(like.blocks * small), rate: like.rate * small, size: Math.max(8, Math.round(like.size * (0.5 + rand()))) });
  }

  const end = 48.2 * NS, unit = wanted.timed === false ? 5_000_000 / end : 1;
  const times = Array.from({ length: n }, (_, i) => Math.round(((i + 1) / n) * end * unit));
  const zero = () => new Array<number>(n).fill(0);
  const timeline = { live: zero(), high: zero(), blocks: zero(), resident: zero(), mapped: zero(), allocs: zero(), bytes: zero(), frees: zero() };
  const column = () => new Array<number>(count).fill(0);
  const sites: Sites = {
    node: column(), place: column(), process: column(), allocs: column(), bytes: column(), frees: column(), peak_bytes: column(), peak_blocks: column(),
    own_peak: column(), left_bytes: column(), left_blocks: column(), temporary: column(), slack: column(), growth: column(), reallocs: column(), moved: column(),
    life_mean: column(), life_sigma: column(), same_thread: column(), threads: column(), oldest: column(), pinned: column(), verdict: column(), lost_bytes: column(),
  };
  const series = { start: [] as number[], interval: [] as number[], live: [] as number[], live_blocks: [] as number[], allocs: [] as number[], bytes: [] as number[], temporary: [] as number[] };
  const bins = new Map<number, number[]>(), lives = new Map<number, number[]>(), exact = new Map<number, number>();
  const live_of: number[][] = [];

  plans.forEach((plan, s) => {
    const f = frame(plan.path.find((step) => step.startsWith("server|") && !/main|run|std::/.test(step)) ?? plan.path[1]!);
    sites.node[s] = node([...plan.path, plan.kind === "realloc" ? "libc.so.6|realloc|" : "libc.so.6|malloc|"]);
    const own = [...plan.path].reverse().find((step) => step.startsWith("server|") && !step.includes("std::"));
    sites.place[s] = own ? frame(own) : f;
    sites.process[s] = wanted.worker && plan.path[0]!.includes("start_thread") ? 2 : 1;
    series.start.push(series.interval.length);
    const lives_here = zero();
    let held = 0;
    for (let i = 0; i < n; i++) {
      if (s >= 400 && rand() > 0.08) { // small sites act now and then, as in real traces
        lives_here[i] = held * plan.size;
        timeline.live[i]! += held * plan.size; timeline.blocks[i]! += held;
        continue;
      }
      const want = Math.round(plan.blocks * curve(plan.kind, (i + 1) / n, rand()));
      const burst = plan.kind === "burst" ? curve("burst", (i + 1) / n, 1) : 1;
      const allocs = Math.max(0, Math.round(plan.rate * (0.7 + 0.6 * rand()) * 1.3 * burst)) + Math.max(0, want - held);
      const frees = allocs + held - want;
      held = want;
      const live = held * plan.size, bytes = allocs * plan.size, temporary = plan.kind === "temporary" ? Math.round(allocs * 0.96) : Math.round(allocs * 0.02);
      lives_here[i] = live;
      if (allocs || frees) {
        series.interval.push(i); series.live.push(live); series.live_blocks.push(held);
        series.allocs.push(allocs); series.bytes.push(bytes); series.temporary.push(temporary);
      }
      timeline.live[i]! += live; timeline.blocks[i]! += held; timeline.allocs[i]! += allocs; timeline.bytes[i]! += bytes; timeline.frees[i]! += frees;
      sites.allocs[s]! += allocs; sites.bytes[s]! += bytes; sites.frees[s]! += frees; sites.temporary[s]! += temporary;
      sites.own_peak[s] = Math.max(sites.own_peak[s]!, live);
      const bin = Math.floor(Math.log2(plan.size)), slack = Math.ceil(plan.size / 16) * 16 - plan.size;
      const b = bins.get(i * 64 + bin) ?? [0, 0, 0];
      b[0]! += allocs; b[1]! += bytes; b[2]! += allocs * slack;
      bins.set(i * 64 + bin, b);
      exact.set(plan.size, (exact.get(plan.size) ?? 0) + allocs);
      sites.slack[s]! += allocs * slack;
      for (let spread = -1; spread <= 1; spread++) {
        const life = Math.max(0, Math.floor(Math.log2(plan.life)) + spread), cell = (i * 64 + bin) * 64 + life;
        const c = lives.get(cell) ?? [0, 0], part = Math.round(frees * (spread ? 0.25 : 0.5));
        c[0]! += part; c[1]! += part * plan.size;
        lives.set(cell, c);
      }
    }
    live_of.push(lives_here);
    sites.left_blocks[s] = held; sites.left_bytes[s] = held * plan.size;
    sites.growth[s] = plan.kind === "growth" || plan.kind === "leak" ? held * plan.size : 0;
    sites.reallocs[s] = plan.kind === "realloc" ? sites.allocs[s]! * 3 : 0;
    sites.moved[s] = plan.kind === "realloc" ? sites.bytes[s]! * 1.4 : 0;
    sites.life_mean[s] = plan.life * 1000 * unit; sites.life_sigma[s] = plan.life * 600 * unit;
    const worker = plan.path[0]!.includes("start_thread");
    sites.same_thread[s] = worker ? Math.round(sites.frees[s]! * 0.2) : sites.frees[s]!;
    sites.threads[s] = worker ? 4 : 1;
    sites.oldest[s] = held ? end * unit * 0.9 : 0;
    sites.pinned[s] = plan.kind === "pin" ? held * 3100 : plan.kind === "leak" ? held * 260 : 0;
    sites.verdict[s] = plan.kind === "leak" ? 1 : held ? 8 : 0;
    sites.lost_bytes[s] = plan.kind === "leak" ? held * plan.size : 0;
  });
  series.start.push(series.interval.length);

  let peak = 0;
  for (let i = 0; i < n; i++) {
    timeline.high[i] = Math.round(timeline.live[i]! * 1.015);
    if (timeline.high[i]! > timeline.high[peak]!) peak = i;
    const most = Math.max(...timeline.live.slice(0, i + 1));
    timeline.resident[i] = Math.round(most * 1.09 + 6e6 + timeline.live[i]! * 0.04);
    timeline.mapped[i] = Math.ceil(timeline.resident[i]! / 8e6) * 8e6 + 12e6;
  }
  plans.forEach((plan, s) => { sites.peak_bytes[s] = live_of[s]![peak]!; sites.peak_blocks[s] = live_of[s]![peak]! / plan.size; });
  const total = (a: number[]) => a.reduce((x, y) => x + y, 0);
  const bin_keys = [...bins.keys()].sort((a, b) => a - b), life_keys = [...lives.keys()].sort((a, b) => a - b);
  const exact_top = [...exact].sort((a, b) => b[1] - a[1]).slice(0, 512);
  const MiB = (b: number) => `${(b / 2 ** 20).toFixed(1)} MiB`;
  const report: Report = {
    version: 1,
    about: {
      command: "./server --port 8080 --workers 4", file: "server.allot", format: "allot", recorded: 1795000000, timed: wanted.timed !== false, has_stacks: true,
      begin: 0, end: end * unit, events: total(timeline.allocs) + total(timeline.frees), lost: 0, truncated: false,
      processes: [{ number: 1, parent: 0, program: "server", began: 0, ended: end * unit, killed: false }],
      marks: [{ time: end * unit * 0.3, text: "warm" }, { time: end * unit * 0.55, text: "compaction" }],
      peak: { bytes: timeline.high[peak]!, blocks: timeline.blocks[peak]!, time: times[peak]! },
      resident_peak: { bytes: Math.max(...timeline.resident), time: end * unit }, collector_cpu_ns: 0.8 * NS, waited_ns: 2e6, allot: "1.0.0",
    },
    verdict: [
      { about: "leaks", tone: "bad", text: `${MiB(sites.lost_bytes[5]! + sites.lost_bytes[6]!)} in 44,000 blocks are lost: nothing points to them any more. Session::create(User const&) allocated them, session.cpp:19.`, link: { view: "leaks", site: 5 } },
      { about: "growth", tone: "bad", text: `Cache::put(Key, Entry) grows without end: ${MiB(sites.left_bytes[4]!)} at the end and ${MiB(sites.left_bytes[4]! / 48.2)} more each second.`, link: { view: "flame", mode: "growth", site: 4 } },
      { about: "peak", tone: "note", text: `The most held at once was ${MiB(timeline.high[peak]!)} in ${timeline.blocks[peak]!.toLocaleString("en")} blocks, at 29.8 s; Snapshot::write held 41 % of it.`, link: { view: "flame", mode: "peak" } },
      { about: "temporary", tone: "bad", text: "52 % of all allocations die before the next one: json::Node::make(Kind) makes 1,872,000 blocks of 48 bytes that live 0.12 ms.", link: { view: "lifetimes", site: 2 } },
      { about: "fragmentation", tone: "note", text: "7.7 MiB of pages are held by 0.5 MiB of log records: Log::write keeps 1,960 pages alive, 7 % used.", link: { view: "map", site: 9 } },
      { about: "threads", tone: "note", text: "Worker 2 does 71 % of the workers' allocations; the other three wait.", link: { view: "threads" } },
      { about: "strategy", tone: "good", text: "two-level would hold 11 % less than glibc at the peak: 71.2 MiB against 80.4 MiB.", link: { view: "strategies" } },
      { about: "recording", tone: "good", text: "Recorded whole: no event was lost, and it cost 0.8 s of a second processor.", link: { view: "timeline" } },
    ],
    strings: strings.list, frames, stacks, times, timeline, sites, site_series: series,
    sizes: {
      exact: { size: exact_top.map((e) => e[0]), allocs: exact_top.map((e) => e[1]) },
      bins: { interval: bin_keys.map((k) => k >> 6), bin: bin_keys.map((k) => k & 63), allocs: bin_keys.map((k) => bins.get(k)![0]!), bytes: bin_keys.map((k) => bins.get(k)![1]!), slack: bin_keys.map((k) => bins.get(k)![2]!) },
    },
    lifetimes: {
      interval: life_keys.map((k) => k >> 12), size: life_keys.map((k) => (k >> 6) & 63), life: life_keys.map((k) => k & 63),
      blocks: life_keys.map((k) => lives.get(k)![0]!), bytes: life_keys.map((k) => lives.get(k)![1]!),
      site_top: plans.slice(0, PLANS.length).map((plan, s) => ({ size: Math.floor(Math.log2(plan.size)), life: Math.floor(Math.log2(plan.life)), site: s, blocks: sites.frees[s]! })),
    },
  };
  if (wanted.worker) report.about.processes.push({ number: 2, parent: 1, program: "/usr/bin/worker", began: 1 * NS, ended: end, killed: true });
  if (wanted.bare) return report;
  const T = 6;
  const share = [0.62, 0.05, 0.05, 0.22, 0.04, 0.02];
  report.threads = {
    process: Array.from({ length: T }, (_, t) => (wanted.worker && t > 3 ? 2 : 1)), number: Array.from({ length: T }, (_, t) => 4711 + t),
    name: ["server", "worker-0", "worker-1", "worker-2", "worker-3", "logger"].map((name) => strings.of(name)),
    allocs: share.map((p) => Math.round(p * total(timeline.allocs))), bytes: share.map((p) => Math.round(p * total(timeline.bytes))),
    frees: share.map((p, t) => Math.round((t === 3 ? 0.02 : p) * total(timeline.frees))), freed_others: [0, 4000, 3800, 210, 3900, 120000],
    series: { thread: [], interval: [], allocs: [], frees: [] },
  };
  for (let t = 0; t < T; t++)
    for (let i = 0; i < n; i++) {
      if (t > 0 && i < n * 0.1) continue;
      report.threads.series.thread.push(t); report.threads.series.interval.push(i);
      report.threads.series.allocs.push(Math.round(share[t]! * timeline.allocs[i]! * (0.7 + 0.6 * rand())));
      report.threads.series.frees.push(Math.round(share[t]! * timeline.frees[i]! * (0.7 + 0.6 * rand())));
    }
  report.map = heap_map(n, rand, times[peak]!);
  if (wanted.worker) report.map.extents[2]!.process = 2;
  report.leaks = [
    { verdict: "definite", site: 5, blocks: 22000, bytes: sites.lost_bytes[5]!, retained: sites.lost_bytes[5]! + sites.lost_bytes[6]!, path: [], type: "Session", suppression: "leak:Session::create" },
    { verdict: "indirect", site: 6, blocks: 22000, bytes: sites.lost_bytes[6]!, retained: sites.lost_bytes[6]!, path: ["Session +24 (lost)", "Token"], type: "Token", suppression: "leak:Token::issue" },
    { verdict: "possible", site: 0, blocks: 3, bytes: 192, retained: 192, path: [], type: "std::string", suppression: "leak:Config::load" },
    { verdict: "reachable", site: 4, blocks: 70000, bytes: sites.left_bytes[4]!, retained: sites.left_bytes[4]!, path: [".bss server+0x5020 g_cache", "Cache +16", "bucket array", "hash node"], type: "hash node", suppression: "leak:Cache::put" },
  ];
  report.strategies = strategies(report, rand);
  report.advice = [
    { kind: "arena", text: "The blocks of json::parse die together at the end of each request: an arena for a request holds them in one region and frees them at once.", site: 2, saving_bytes: 6.2e6, saving_part: 0.08, replay: "arena, all 5,108,220 events" },
    { kind: "pool", text: "62 % of the live blocks of Cache::put are of 512 bytes: a pool of that size needs no headers.", site: 4, saving_bytes: 2.2e6, saving_part: 0.03, replay: "pool, 512 bytes, all events" },
    { kind: "realloc", text: "Buffer::grow moves 1.4 bytes for each that it asks for: start at 16 KiB and double.", site: 7, saving_bytes: 0, saving_part: 0, replay: "allot, first 200,000 events" },
  ];
  if (wanted.diff) {
    const places = [...new Set(sites.place)];
    report.diff = {
      other: { ...report.about, file: "before.allot", recorded: 1794000000, peak: { ...report.about.peak, bytes: report.about.peak.bytes * 0.8 } },
      rows: places.map((place) => {
        const mine = sites.place.flatMap((p, s) => (p === place ? [s] : []));
        const now = mine.reduce((x, s) => x + sites.bytes[s]!, 0), held = mine.reduce((x, s) => x + sites.peak_bytes[s]!, 0), k = 0.6 + 0.6 * rand();
        return { place, before_bytes: Math.round(now * k), now_bytes: now, before_allocs: Math.round(mine.reduce((x, s) => x + sites.allocs[s]!, 0) * k), now_allocs: mine.reduce((x, s) => x + sites.allocs[s]!, 0), before_peak: Math.round(held * k), now_peak: held };
      }),
      node_before: { node: sites.node, bytes: sites.bytes.map((b) => Math.round(b * (0.6 + 0.6 * rand()))), allocs: sites.allocs.map((b) => Math.round(b * 0.9)), peak: sites.peak_bytes.map((b) => Math.round(b * (0.5 + 0.8 * rand()))) },
    };
  }
  return report;
}

function heap_map(n: number, rand: () => number, pin_at: number): HeapMap {
  const extents = [{ address: "5581c0a3e000", rows: 40, process: 1 }, { address: "7f3a40000000", rows: 150, process: 1 }, { address: "7f3a80000000", rows: 66, process: 1 }];
  const rows = 256, cells = new Uint8Array(rows * n);
  for (let r = 0; r < rows; r++) {
    const born = Math.floor((r / rows) * n * 0.6), dies = r > 190 ? Math.floor(n * 0.7) : n + 1, thin = r > 60 && r < 120;
    for (let i = born; i < n; i++) {
      const x = i / n;
      let part = i > dies ? (r % 3 ? 0 : 0.06) : thin && x > 0.6 ? 0.05 + 0.08 * rand() : 0.72 + 0.27 * Math.sin(r * 0.7 + i * 0.02) * rand();
      part = Math.max(0, Math.min(1, part));
      cells[r * n + i] = part === 0 ? 1 : 2 + Math.round(part * 253);
    }
  }
  const owners: HeapMap["owners"] = [];
  for (let r = 0; r < rows; r += 1)
    for (let i = 0; i < n; i += Math.ceil(n / 12)) if (cells[r * n + i]! > 1) owners.push({ row: r, interval: i, sites: r > 60 && r < 120 ? [9, 4] : [4, 5, 1], bytes: r > 60 && r < 120 ? [21000, 9000] : [90000, 30000, 11000] });
  return {
    row_bytes: 262144, extents, rows, occupancy: Buffer.from(cells).toString("base64"), pin_time: pin_at, pages: { page_bytes: 4096, held: 18400, used: 61e6, holes_largest: 1_900_544 },
    holes: Array.from({ length: n }, (_, i) => Math.round(2e6 + (i / n) ** 2 * 13e6)), owners,
    pin: [{ site: 9, pages: 1960, bytes: 8.0e6, used: 0.54e6 }, { site: 5, pages: 1400, bytes: 5.7e6, used: 1.9e6 }, { site: 4, pages: 700, bytes: 2.8e6, used: 1.1e6 }, { site: 13, pages: 90, bytes: 0.36e6, used: 0.1e6 }],
  };
}

function strategies(report: Report, rand: () => number): Strategies {
  const m = 128, n = report.times.length, at = (k: number) => Math.min(n - 1, Math.floor(((k + 1) / m) * n));
  const live = Array.from({ length: m }, (_, k) => report.timeline.live[at(k)]!), peak = Math.max(...live);
  const what: Record<string, string> = {
    first: "the lowest hole that is large enough", next: "the next hole onwards from the last placing", best: "the smallest hole that is large enough", worst: "the largest hole",
    buddy: "halves of powers of two", slab: "pages cut into slots of one size", "two-level": "free lists by size over a heap", pool: "one pool for each size", arena: "one after another, freed together",
    compact: "first fit; blocks move together when space is out", allot: "size classes in spans, an owner per thread", bins: "free lists by power of two",
  };
  const make = (name: string, real: boolean, factor: number): Strategy => {
    let most = 0;
    const held = live.map((l) => Math.round((most = Math.max(most * 0.999, l * factor * (1 + 0.03 * rand())))));
    const used = live.map((l) => Math.round(l * (1 + (factor - 1) * 0.4)));
    const map = new Uint8Array(512).map((_, c) => (c / 512 > 0.96 ? 0 : rand() < (factor - 1) * 0.9 ? Math.floor(rand() * 120) : 200 + Math.floor(rand() * 55)));
    return {
      name, real, version: real ? "5.3.0" : "", failed: "", refused: 0, what: what[name] ?? "as its authors made it", peak_held: Math.max(...held), mean_held_over_live: factor + 0.06,
      smallest: real ? 0 : Math.round(peak * factor * 0.97), held, used: real ? held.map(() => 0) : used, metadata: held.map((h) => Math.round(h * 0.01)), largest_hole: held.map((h, k) => Math.round((h - used[k]!) * 0.3)),
      counts: real ? [] : [{ name: "splits", value: Math.round(rand() * 4e6) }, { name: "merges", value: Math.round(rand() * 4e6) }, { name: "looked at", value: Math.round(rand() * 9e7) }],
      ...(real ? { ns_op: 18 + 30 * rand(), ns_op_least: 17, ns_op_most: 55, runs: 5, faults: 21000 } : { map: Buffer.from(map).toString("base64"), map_begin: 0, map_cell: Math.round(peak * factor / 512) }),
    };
  };
  const factor: [string, boolean, number][] = [["two-level", false, 1.06], ["best", false, 1.09], ["allot", false, 1.1], ["first", false, 1.14], ["next", false, 1.31], ["worst", false, 1.52], ["slab", false, 1.12], ["buddy", false, 1.39], ["bins", false, 1.42], ["pool", false, 1.17], ["arena", false, 1.9], ["compact", false, 1.02], ["glibc", true, 1.2], ["jemalloc", true, 1.16], ["mimalloc", true, 1.13], ["allot", true, 1.12]];
  const list = factor.map(([name, real, f]) => make(name, real, f));
  list.push({ ...make("tcmalloc", true, 1), failed: "libtcmalloc_minimal.so.4 is not installed", held: [], used: [], metadata: [], largest_hole: [], peak_held: 0, mean_held_over_live: 0 });
  return {
    ops: report.about.events, cut: false, peak_live: peak, live, list, moments: Array.from({ length: m }, (_, k) => Math.round(((k + 1) / m) * report.about.events)),
    moment_times: Array.from({ length: m }, (_, k) => report.times[at(k)]!), steps: placements(random(11)),
  };
}
