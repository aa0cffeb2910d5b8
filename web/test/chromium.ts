// Debian's chromium, headless.
import { execFileSync } from "node:child_process";
import { chromium as driver, type Browser } from "playwright-core";

export function chromiumPath(): string | null {
  for (const name of ["chromium", "chromium-browser", "google-chrome"])
    try { return execFileSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim(); } catch { /* the next */ }
  return null;
}

export async function chromium(): Promise<Browser> {
  const executablePath = chromiumPath();
  if (!executablePath) throw new Error("there is no chromium: apt-get install chromium");
  return driver.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] }); // tests run as root too, where its sandbox does not start
}
