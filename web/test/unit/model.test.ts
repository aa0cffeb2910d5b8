import assert from "node:assert/strict";
import test from "node:test";
import { key, settle, shift, zone } from "../../src/model/brush";
import { buildTree, layout, siteValues, sortChildren, sumTree } from "../../src/model/flame";
import { bytes, count, duration, percent, shorten } from "../../src/model/format";
import { INITIAL, linkState, read, write } from "../../src/model/hash";
import { leakRows } from "../../src/model/leaks";
import { address, fullness, owners, pins, rowsOf } from "../../src/model/map";
import { Model } from "../../src/model/model";
import { asText, filter, rows, sort } from "../../src/model/sites";
import { footprint, layoutAt, momentOf, momentRange } from "../../src/model/strategies";
import { lifeCells, sizeBins, threadSums } from "../../src/model/tallies";
import { fixture } from "../fixture";

const report = fixture({ diff: true }), model = new Model(report);
const sum = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0);

test("figures in words", () => {
  assert.deepEqual([0, 1, 1023, 1024, 1536, 10.5 * 2 ** 20, 999 * 2 ** 30, -2048].map(bytes), ["0 B", "1 B", "1023 B", "1 KiB", "1.50 KiB", "10.5 MiB", "999 GiB", "−2 KiB"]);
  assert.deepEqual([0, 99999, 123456, 1.5e6, 2.25e9].map(count), ["0", "99,999", "123 k", "1.50 M", "2.25 G"]);
  assert.deepEqual([0, 999, 1500, 12.5e6, 61e9, 125e9, 3 * 3600e9].map(duration), ["0 s", "999 ns", "1.50 µs", "12.5 ms", "61 s", "2 min 5 s", "3 h"]);
  assert.deepEqual([percent(1, 3), percent(1, 1e6), percent(0, 5), percent(1, 0), percent(-1, 2), percent(99999, 1e5), percent(997, 1000)], ["33 %", "< 0.1 %", "0 %", "–", "−50 %", "> 99.9 %", "99.7 %"]);
});

test("functions as they are spoken of", () => {
  const names = {
    "main": "main", "std::vector<int, std::allocator<int> >::push_back(int const&)": "std::vector<…>::push_back", "operator new(unsigned long)": "operator new",
    "A::operator()(int) const": "A::operator()", "A::operator<(A const&)": "A::operator<", "ns::f<g<1>>(h)": "ns::f<…>", "(anonymous namespace)::f()": "(anon)::f", "": "",
    "std::ostream& operator<< <int>(std::ostream&, int)": "std::ostream& operator<< <…>",
  };
  for (const [name, short] of Object.entries(names)) assert.equal(shorten(name), short);
});

test("a range's figures are its intervals', and parts add up to the whole", () => {
  const { site_series: series } = report, [from, to] = [37, 92], f = model.figures([from, to]);
  for (const s of [0, 4, 10, 13]) {
    let allocs = 0, before = 0, after = 0;
    for (let e = series.start[s]!; e < series.start[s + 1]!; e++) {
      const i = series.interval[e]!;
      if (i >= from && i <= to) allocs += series.allocs[e]!;
      if (i < from) before = series.live[e]!;
      if (i <= to) after = series.live[e]!;
    }
    assert.deepEqual([f.allocs[s], f.before[s], f.after[s]], [allocs, before, after]);
  }
  const parts = [[0, 36], [37, 92], [93, 159]].map(([a, b]) => sum(model.figures([a!, b!]).bytes));
  assert.equal(sum(parts), sum(report.timeline.bytes));
  assert.equal(sum(f.after), report.timeline.live[to]);
  assert.deepEqual(Array.from(model.figures(model.whole).peak), report.sites.peak_bytes);
  assert.equal(sum(model.figures([from, to]).peak), report.timeline.live[model.fullest([from, to])]);
});

test("times and intervals", () => {
  assert.equal(model.interval(0), 0);
  for (const i of [0, 1, 80, 159]) assert.deepEqual([model.interval(model.end(i)), model.interval(model.start(i) + 1)], [i, i]);
  assert.equal(model.interval(1e18), 159);
});

test("the flame graph's tree: sums, order, inversion, recursion, boxes", () => {
  const { values } = siteValues(model, "bytes", model.whole, 0, null);
  for (const how of [{ invert: false, merge: false }, { invert: true, merge: false }, { invert: false, merge: true }, { invert: true, merge: true }]) {
    const tree = buildTree(model, how), total = sumTree(tree, report.sites.node, values);
    assert.equal(total[0], sum(values), JSON.stringify(how));
    for (let v = 1; v < tree.parent.length; v++) assert.ok(tree.parent[v]! < v);
    sortChildren(tree, total);
    for (let v = 0; v < tree.parent.length; v++) {
      const children = Array.from(tree.child.subarray(tree.first[v]!, tree.first[v + 1]!), (c) => total[c]!);
      assert.deepEqual(children, children.slice().sort((a, b) => b - a));
      assert.ok(sum(children) <= total[v]!);
    }
    const { boxes } = layout(tree, total, 0, 0);
    assert.equal(boxes.length, new Set(boxes.map((box) => box.node)).size);
    for (const box of boxes) assert.ok(box.x >= -1e-9 && box.x + box.width <= 1 + 1e-9);
    const top = boxes.filter((box) => box.depth === 1).map((box) => model.frameShort(tree.frame[box.node]!)).sort();
    assert.deepEqual(top, how.invert ? ["malloc", "realloc"] : ["__libc_start_main", "start_thread"]);
    if (how.merge) for (let v = 1; v < tree.parent.length; v++) // no function twice on a way
      for (let up = tree.parent[v]!; up > 0; up = tree.parent[up]!) assert.notEqual(model.key[tree.frame[v]!], model.key[tree.frame[up]!]);
  }
  const tree = buildTree(model, { invert: false, merge: false }), total = sumTree(tree, report.sites.node, values);
  const zoomed = layout(tree, total, tree.child[0]!, 0.01);
  assert.deepEqual(zoomed.boxes.slice(0, 2).map((box) => box.width), [1, 1]);
});

test("the flame graph's modes say what they are", () => {
  const of = (mode: Parameters<typeof siteValues>[1], range = model.whole, moment = 0) => siteValues(model, mode, range, moment, null);
  assert.equal(sum(of("count").values), sum(report.timeline.allocs));
  assert.equal(sum(of("moment", model.whole, 50).values), report.timeline.live[50]);
  assert.equal(sum(of("leaked").values), sum(report.sites.lost_bytes));
  assert.ok(sum(of("growth", [100, 159]).values) >= report.timeline.live[159]! - report.timeline.live[99]!);
  assert.match(of("slack", [3, 9]).note, /proportion/);
  assert.equal(sum(siteValues(model, "bytes", model.whole, 0, 5).values), 0);
});

test("the address and back", () => {
  const state = { ...INITIAL, view: "map" as const, mode: "slack" as const, brush: [3, 40] as [number, number], moment: 12, site: 4, query: "a b&c", invert: true, process: 1, sort: "-growth" };
  assert.deepEqual(read(write(state), model), state);
  assert.deepEqual(read("", model), INITIAL);
  assert.deepEqual(read("#view=x&t=9-&site=-1&at=1.5&process=9&mode=peaky", model), INITIAL);
  assert.deepEqual(linkState({ view: "timeline", from: model.end(4), to: model.end(9) }, model).brush, [4, 9]);
  const moment = linkState({ view: "map", site: 9, from: model.end(4), to: model.end(4) }, model);
  assert.deepEqual([moment.brush, moment.moment, moment.site], [null, 4, 9]);
  assert.equal(linkState(JSON.parse('{"view":"sites","mode":"reallocs","site":null,"from":null,"to":null}'), model).sort, "reallocs");
});

test("the brush by pointer and keys", () => {
  assert.equal(settle(5, 200, 160)![1], 159);
  assert.equal(settle(0, 159, 160), null);
  assert.deepEqual(shift([10, 20], -50, 160), [0, 10]);
  assert.deepEqual(shift([10, 20], 500, 160), [149, 159]);
  assert.deepEqual([zone(100, 100, 200), zone(203, 100, 200), zone(150, 100, 200), zone(50, 100, 200), zone(101, 100, 102)], ["left", "right", "body", "outside", "left"]);
  const press = (name: string, brush: [number, number] | null, shiftKey = false, ctrlKey = false) => key({ key: name, shiftKey, ctrlKey }, brush, 50, 160);
  assert.deepEqual(press("ArrowRight", null), { brush: null, moment: 51 });
  assert.deepEqual(press("ArrowLeft", [10, 20], false, true), { brush: [0, 10], moment: null });
  assert.deepEqual(press("ArrowRight", null, true), { brush: [50, 51], moment: null });
  assert.deepEqual(press("Escape", [1, 2]), { brush: null, moment: null });
  assert.equal(press("a", null), null);
});

test("the table: by place and stack, filtered, sorted, as text", () => {
  const list = rows(model, model.whole, "place", null), stacks = rows(model, model.whole, "stack", null);
  assert.equal(sum(list.map((row) => row.allocs)), sum(report.timeline.allocs));
  assert.equal(stacks.length, model.count);
  assert.deepEqual(filter(list, "parser -parser::string", model).map((row) => row.name).sort(), ["json::Node::make"]);
  assert.equal(filter(list, "no such thing", model).length, 0);
  const sorted = sort(list, "bytes");
  assert.deepEqual(sort(list, "-bytes").map((row) => row.key), sorted.map((row) => row.key).reverse());
  assert.ok(sorted[0]!.bytes >= sorted[1]!.bytes);
  const text = asText(sorted.slice(0, 2), model).split("\n");
  assert.equal(text.length, 3);
  assert.match(text[0]!, /^place +file +peak/);
  assert.deepEqual(rows(model, model.whole, "place", null).map((row) => row.bytes), list.map((row) => row.bytes), "rows are counted anew each time");
});

test("the map: addresses, owners, fullness, pins by place", () => {
  const map = report.map!;
  assert.equal(address(map, 0).text, "0x5581c0a3e000");
  assert.deepEqual(address(map, 41), { text: "0x7f3a40040000", extent: 1 });
  assert.equal(address(map, 256).text, "");
  assert.equal(owners(map, 70, 159)!.interval <= 159, true);
  assert.equal(owners(map, 9999, 3), null);
  for (const i of [0, 80, 159]) assert.ok(sum(fullness(map, rowsOf(map, null), model.n, i)) <= map.rows);
  assert.equal(rowsOf(map, null).length, map.rows);
  assert.deepEqual(rowsOf({ ...map, extents: [{ address: "0", rows: 2, process: 1 }, { address: "0", rows: 2, process: 7 }] }, 7), [2, 3]);
  const joined = pins({ ...map, pin: [{ site: 0, pages: 1, bytes: 9, used: 1 }, { site: 1, pages: 2, bytes: 9, used: 2 }, { site: 2, pages: 0, bytes: 4, used: 4 }] }, [7, 7, 8]);
  assert.deepEqual(joined, [{ site: 0, pages: 3, bytes: 18, used: 3 }]);
});

test("leaks of a place are one, the surest first", () => {
  const leak = { verdict: "definite" as const, site: 5, blocks: 1, bytes: 10, retained: 20, path: [], type: "", suppression: "leak:f" };
  const list = leakRows(model, [{ ...leak, verdict: "possible" }, leak, { ...leak, bytes: 30 }]);
  assert.deepEqual(list.map((row) => [row.verdict, row.blocks, row.bytes]), [["definite", 2, 40], ["possible", 1, 10]]);
});

test("sizes, lifetimes and threads of a range", () => {
  const bins = sizeBins(model, [10, 20]);
  assert.equal(sum(bins.map((bin) => bin.allocs)), sum(report.timeline.allocs.slice(10, 21)));
  bins.forEach((bin, i) => assert.equal(bin.bin, bins[0]!.bin + i));
  const whole = lifeCells(model, model.whole), part = lifeCells(model, [10, 20]);
  assert.deepEqual([part.sizes, part.lives], [whole.sizes, whole.lives]);
  assert.ok(part.blocks < whole.blocks && part.blocks > 0);
  assert.deepEqual(Array.from(threadSums(model, model.whole).allocs), report.threads!.allocs);
});

test("strategies: the moment of a time, and blocks step by step", () => {
  const all = report.strategies!;
  assert.equal(momentOf(all, model, 159), 127);
  assert.equal(momentOf(all, model, 0), 0);
  const timeless = { ...all, moment_times: undefined };
  assert.equal(timeless.live[momentOf(timeless, model, 3)], Math.max(...all.live), "without times: where most is live");
  assert.deepEqual(momentRange(timeless, model, [3, 9]), [0, 127]);
  assert.equal(footprint(all, { ...all.list[0]!, peak_held: 1000, metadata: all.live.map((b) => (b === Math.max(...all.live) ? 7 : 99)) }), 1007);
  const first = all.steps!.strategies[0]!, live = new Set<number>();
  all.steps!.ops.forEach((op, i) => {
    if (op.kind === "free") live.delete(op.block); else live.add(op.block);
    const { blocks, touched } = layoutAt(first, i);
    assert.deepEqual(new Set(blocks.map((b) => b.block)), live);
    assert.equal(touched.has(op.block), op.kind !== "free");
    for (let k = 1; k < blocks.length; k++) assert.ok(blocks[k - 1]!.start + blocks[k - 1]!.size <= blocks[k]!.start, "blocks do not overlap");
  });
});
