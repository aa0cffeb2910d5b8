// node test/run.mjs shots FOLDER [PAGE.html]: pictures of every view at both widths in both colour schemes, for the eye.
import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { VIEWS } from "../src/model/hash";
import { chromium } from "./chromium";
import { fixture } from "./fixture";
import { written } from "./page";

const [folder = "shots", given, only] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const file = given && given !== "-" ? resolve(given) : written("report", fixture({ diff: true }));
const browser = await chromium();
for (const width of [1280, 390])
  for (const colorScheme of ["light", "dark"] as const) {
    const context = await browser.newContext({ viewport: { width, height: width === 390 ? 844 : 800 }, colorScheme });
    const page = await context.newPage();
    page.on("console", (message) => { if (message.type() === "error") console.log("console:", message.text()); });
    page.on("pageerror", (error) => console.log("error:", error.message));
    await page.goto(pathToFileURL(file).href);
    await page.waitForSelector(".tabs");
    await page.waitForTimeout(300);
    if (!only) await page.screenshot({ path: `${folder}/first-${width}-${colorScheme}.png` });
    for (const view of VIEWS) {
      if (only && only !== view) continue;
      await page.evaluate((hash) => { location.hash = hash; }, `view=${view}`);
      await page.waitForTimeout(250);
      await page.evaluate(() => document.getElementById("dock")!.scrollIntoView());
      await page.waitForTimeout(100);
      await page.screenshot({ path: `${folder}/${view}-${width}-${colorScheme}.png` });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      if (wide > width) console.log(`${view} is ${wide} wide at ${width}`);
    }
    await context.close();
  }
await browser.close();
