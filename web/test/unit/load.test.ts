import assert from "node:assert/strict";
import test from "node:test";
import { gzipSync } from "node:zlib";
import { fixture } from "../fixture";
import { fromFirstEvent, unpack, NoReport } from "../../src/load";

const pack = (value: unknown) => gzipSync(JSON.stringify(value)).toString("base64");

test("data is unpacked as it was packed", async () => {
  const report = { version: 1, strings: ["", "größe → 1"] };
  assert.deepEqual(await unpack(pack(report)), report);
});

test("times begin with the first event, as the sentences have them", () => {
  const report = fixture();
  const begin = 5e6, later: typeof report = structuredClone(report);
  const shift = (t: number) => t + begin;
  later.about.begin = shift(report.about.begin);
  later.about.end = shift(report.about.end);
  later.about.peak.time = shift(report.about.peak.time);
  later.times = report.times.map(shift);
  for (const s of later.verdict) if (s.link?.from != null) s.link.from = shift(s.link.from);
  const seen = fromFirstEvent(later);
  assert.equal(seen.about.begin, 0);
  assert.deepEqual(seen.times, report.times.map((t) => t - report.about.begin));
  assert.equal(seen.about.peak.time, report.about.peak.time - report.about.begin);
  assert.deepEqual(seen.verdict.map((s) => s.link?.from), report.verdict.map((s) => s.link?.from == null ? s.link?.from : s.link.from - report.about.begin));
});

test("damaged data and another version are told in words", async () => {
  await assert.rejects(unpack("bm90IGd6aXA="), NoReport);
  await assert.rejects(unpack(pack({ version: 2 })), /version 2/);
});
