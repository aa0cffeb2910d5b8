// What `allot report -o page.html` and `allot compare -o page.html` put into the page: one JSON object, gzip, base64. The command
// writes it (tool/page), the page reads it; nothing else is known to the page. Bytes are bytes, times are nanoseconds since recording
// began (or event numbers, when about.timed is false). All "columns" are arrays of one length. A part that a trace cannot give is absent.

export interface Report {
  version: 1;
  about: About;
  verdict: Sentence[]; // six to eight, the most important first
  strings: string[]; // [0] is ""
  frames: Frames;
  stacks: Stacks;
  times: number[]; // the ends of the intervals into which everything below is cut, ascending: at most 200; times[-1] is 0 / about.begin
  timeline: Timeline;
  sites: Sites;
  site_series: SiteSeries;
  sizes: Sizes;
  lifetimes: Lifetimes;
  threads?: Threads;
  map?: HeapMap;
  leaks?: Leak[];
  strategies?: Strategies;
  advice?: Advice[];
  diff?: Diff;
}

export interface About {
  command: string;
  file: string;
  format: string;
  recorded: number; // seconds since 1970, 0: unknown
  timed: boolean;
  has_stacks: boolean;
  begin: number;
  end: number;
  events: number;
  lost: number;
  truncated: boolean;
  processes: { number: number; parent: number; program: string; began: number; ended: number; killed: boolean }[];
  marks: { time: number; text: string }[];
  peak: { bytes: number; blocks: number; time: number };
  resident_peak: { bytes: number; time: number } | null;
  collector_cpu_ns: number;
  waited_ns: number;
  allot: string; // version
}

export type ViewName =
  | "timeline" | "flame" | "map" | "sizes" | "lifetimes" | "sites" | "strategies" | "leaks" | "threads" | "diff";

export interface Sentence {
  about: string; // peak, leaks, growth, temporary, resident, realloc, fragmentation, threads, strategy, failed, recording
  tone: "bad" | "note" | "good";
  text: string;
  link: { view: ViewName; mode?: string; site?: number; from?: number; to?: number } | null; // mode: a flame graph's or a sort's
}

// A frame in words; inlined frames are frames of their own.
export interface Frames { function: number[]; file: number[]; line: number[]; module: number[] } // indices into strings; 0: unknown

// The tree of stacks: node 0 is the root (nobody); parent[i] < i. The root's children are the outermost callers.
export interface Stacks { parent: number[]; frame: number[] }

export interface Timeline {
  live: number[]; // at each interval's end
  high: number[]; // the most in it
  blocks: number[];
  resident: number[]; // 0 where unknown
  mapped: number[];
  allocs: number[]; // in it
  bytes: number[];
  frees: number[];
}

// A site is a stack in a process: figures of the whole time. place: the node's frame that is the program's own.
export interface Sites {
  node: number[];
  place: number[]; // index into frames
  process: number[];
  allocs: number[]; bytes: number[]; frees: number[];
  peak_bytes: number[]; peak_blocks: number[]; // at the whole's peak
  own_peak: number[];
  left_bytes: number[]; left_blocks: number[];
  temporary: number[];
  slack: number[]; // bytes that allot's classes add
  growth: number[];
  reallocs: number[]; moved: number[];
  life_mean: number[]; life_sigma: number[];
  same_thread: number[]; // of frees
  threads: number[];
  oldest: number[]; // age of the oldest live block at the end
  pinned: number[]; // bytes of pages kept at the end (or at map.pin_time) by this site's blocks, over what they use; 0 without addresses
  verdict: number[]; // 0 none, else bit 1 definite, 2 indirect, 4 possible, 8 reachable, 16 thread-only
  lost_bytes: number[]; // definite and indirect
}

// What each site did in each interval, sparse: for site s the entries start[s] .. start[s+1]-1 in ascending interval.
// live is what it held at the interval's end, and holds on until its next entry.
export interface SiteSeries {
  start: number[];
  interval: number[]; live: number[]; live_blocks: number[];
  allocs: number[]; bytes: number[]; temporary: number[];
}

export interface Sizes {
  exact: { size: number[]; allocs: number[] }; // the most frequent requested sizes, at most 512
  bins: { interval: number[]; bin: number[]; allocs: number[]; bytes: number[]; slack: number[] }; // log2 bins, sparse by interval
}

export interface Lifetimes { // blocks that died, sparse: by the interval they were born in, log2 of size, log2 of lifetime in microseconds (or events)
  interval: number[]; size: number[]; life: number[]; blocks: number[]; bytes: number[];
  site_top: { size: number; life: number; site: number; blocks: number }[]; // who fills each cell most
}

export interface Threads {
  process: number[]; number: number[]; name: (number | string)[]; // an index into strings, or the name itself
 
  allocs: number[]; bytes: number[]; frees: number[]; freed_others: number[];
  series: { thread: number[]; interval: number[]; allocs: number[]; frees: number[] };
}

// Addresses folded: only extents that ever held a block are rows, cut into equal rows of `row_bytes` (whole pages).
export interface HeapMap {
  row_bytes: number;
  extents: { address: string; rows: number; process: number }[]; // hexadecimal; together `rows` rows, by process, then ascending
  rows: number; // at most 1024
  occupancy: string; // base64 of rows * times.length bytes, row by row: 0 never held anything yet, 1 empty now, 2..255 occupied share
  pin_time: number;
  pages: { page_bytes: number; held: number; used: number; holes_largest: number }; // at pin_time: pages with a block, bytes in them; bytes of the longest run of pages without one between two with
  holes: number[]; // bytes of holes within held pages, by interval
  owners: { row: number; interval: number; sites: number[]; bytes: number[] }[]; // the sites that hold a row, of moments: a sample of intervals
  pin: { site: number; pages: number; bytes: number; used: number }[]; // who keeps pages alive, most bytes over used first; pages: that hold nobody else's blocks; bytes: of pages, shared ones by the part of what is used in them; over all sites held * page_bytes
}

export interface Leak {
  verdict: "definite" | "indirect" | "possible" | "reachable" | "thread" | "unknown";
  site: number; /* -1: none of the trace's */ blocks: number; bytes: number; retained: number;
  path: string[]; // who points to it, from a root; empty: nobody
  type: string; suppression: string;
}

export interface Strategies {
  ops: number; cut: boolean; peak_live: number;
  moments: number[]; // times or op numbers at which series are taken
  moment_times?: number[]; // the moments as the page's times, where `moments` are op numbers: the brush finds them by these
  live: number[];
  list: Strategy[];
  steps?: Steps; // for a short trace
}
export interface Strategy {
  name: string; real: boolean; version: string; failed: string; refused: number; what: string; // one line: how it places
  peak_held: number; mean_held_over_live: number; smallest: number;
  held: number[]; used: number[]; metadata: number[]; largest_hole: number[];
  counts: { name: string; value: number }[];
  ns_op?: number; ns_op_least?: number; ns_op_most?: number; runs?: number; faults?: number;
  map?: string; // base64, 512 cells
  map_begin?: number; map_cell?: number;
}
export interface Steps {
  ops: { kind: "alloc" | "free" | "resize"; block: number; size: number; site: number /* -1: unknown */ }[];
  // of each strategy: at op i block b is at start[k], taking size[k] (0: nowhere now): entries in order of op
  strategies: { name: string; op: number[]; block: number[]; start: number[]; size: number[] }[];
}

export interface Advice {
  kind: "arena" | "pool" | "cache" | "strategy" | "temporary" | "sharing" | "realloc" | "lifetime";
  text: string; site: number; /* -1: all of the program */ saving_bytes: number; saving_part: number; replay: string; // what was replayed to know
}

export interface Diff { // this report beside an earlier one, by place
  other: About;
  rows: { place: number; before_bytes: number; now_bytes: number; before_allocs: number; now_allocs: number; before_peak: number; now_peak: number }[];
  node_before: { node: number[]; bytes: number[]; allocs: number[]; peak: number[] }; // figures of the earlier run on this report's stacks
}
