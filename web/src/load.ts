// The page's data: JSON, gzip, base64, in the page's element `data`. The command that writes the page puts it between the tags of
//   <script type="application/octet-stream;base64" id="data"></script>
// which the built page has once, as its last element.
import type { Report, Sentence } from "./data";

export class NoReport extends Error {} // its message is for the reader

export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

// Times as the report's own sentences have them: from the first event on. In the file they are from the start of the recording.
export function fromFirstEvent(report: Report): Report {
  const { about } = report, begin = about.timed ? about.begin : 0;
  const since = (t: number) => Math.max(0, t - begin);
  const all = (times: number[]) => times.map(since);
  const link = (l: Sentence["link"]) => l && { ...l, ...(l.from == null ? {} : { from: since(l.from) }), ...(l.to == null ? {} : { to: since(l.to) }) };
  const { map, strategies } = report;
  return {
    ...report,
    times: all(report.times),
    about: {
      ...about, begin: since(about.begin), end: since(about.end),
      peak: { ...about.peak, time: since(about.peak.time) },
      resident_peak: about.resident_peak && { ...about.resident_peak, time: since(about.resident_peak.time) },
      processes: about.processes.map((p) => ({ ...p, began: since(p.began), ended: since(p.ended) })),
      marks: about.marks.map((m) => ({ ...m, time: since(m.time) })),
    },
    verdict: report.verdict.map((s) => ({ ...s, link: link(s.link) })),
    ...(map ? { map: { ...map, pin_time: since(map.pin_time) } } : {}),
    ...(strategies?.moment_times ? { strategies: { ...strategies, moment_times: all(strategies.moment_times) } } : {}),
  };
}

export async function unpack(base64: string): Promise<Report> {
  let report: Report;
  try {
    const packed = new Blob([fromBase64(base64)]).stream();
    report = await new Response(packed.pipeThrough(new DecompressionStream("gzip"))).json();
  } catch (error) {
    throw new NoReport(`The data in this page is damaged (${error instanceof Error ? error.message : error}). Write the page anew: allot report -o page.html FILE`);
  }
  if (report.version !== 1)
    throw new NoReport(`The data in this page is of version ${report.version}, which this page does not know. Write the page anew: allot report -o page.html FILE`);
  return report;
}

export async function load(): Promise<Report> {
  const text = document.getElementById("data")?.textContent?.trim() ?? "";
  if (text === "") throw new NoReport("This page has no data. Write one that has: allot report -o page.html FILE");
  return fromFirstEvent(await unpack(text));
}
