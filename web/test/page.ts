// A built page with a report in it, as the command writes it.
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Report } from "../src/data";

const PLACE = 'id="data"></script>';

export function page(report: Report): string {
  const built = readFileSync(process.env.ALLOT_PAGE ?? "dist/index.html", "utf8"), at = built.indexOf(PLACE);
  if (at < 0) throw new Error("the built page has no place for data");
  const data = gzipSync(JSON.stringify(report)).toString("base64");
  return built.slice(0, at) + 'id="data">' + data + "</script>" + built.slice(at + PLACE.length);
}

let folder: string | undefined;
export function written(name: string, report: Report): string {
  folder ??= mkdtempSync(join(tmpdir(), "allot-page-"));
  const path = join(folder, `${name}.html`);
  writeFileSync(path, page(report));
  return path;
}
