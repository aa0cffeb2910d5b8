// node test/run.mjs pan [PAGE.html...]: drags the brush over the whole time in each view and prints how long the page did not answer:
// the longest task and the longest gap between frames. Without a page: of a made-up report as large as pages get.
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { VIEWS } from "../src/model/hash";
import { chromium } from "./chromium";
import { fixture } from "./fixture";
import { written } from "./page";

declare global { interface Window { tasks: number[]; gaps: number[]; watching: boolean } }

const given = process.argv.slice(2).map((path) => resolve(path));
const files = given.length ? given : [written("large", fixture({ sites: 20000, intervals: 200, diff: true }))];
const browser = await chromium();
for (const file of files) {
  const page = await (await browser.newContext({ viewport: { width: 1280, height: 800 } })).newPage();
  await page.addInitScript(() => {
    window.tasks = []; window.gaps = []; window.watching = false;
    new PerformanceObserver((list) => { if (window.watching) for (const entry of list.getEntries()) window.tasks.push(entry.duration); }).observe({ entryTypes: ["longtask"] });
    let last = 0;
    const frame = (now: number) => { if (window.watching && last) window.gaps.push(now - last); last = window.watching ? now : 0; requestAnimationFrame(frame); };
    requestAnimationFrame(frame);
  });
  await page.goto(pathToFileURL(file).href);
  await page.waitForSelector(".tabs");
  console.log(`${file}: opened in ${Math.round(await page.evaluate(() => performance.now()))} ms`);
  console.log("view          moves  longest task   longest gap   median gap");
  for (const view of VIEWS.filter((one) => !process.env.VIEW || process.env.VIEW.split(",").includes(one))) {
    await page.click(`#tab-${view}`);
    await page.waitForTimeout(200);
    const box = (await (await page.$("#timeline .u-over"))!.boundingBox())!, y = box.y + box.height / 2, moves = 120;
    await page.mouse.move(box.x + 20, y);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.2, y, { steps: 4 });
    await page.mouse.up();
    await page.mouse.move(box.x + box.width * 0.1, y);
    await page.mouse.down();
    await page.evaluate(() => { window.tasks = []; window.gaps = []; window.watching = true; });
    for (let i = 0; i < moves; i++) await page.mouse.move(box.x + box.width * (0.1 + (0.75 * (i + 1)) / moves), y);
    await page.mouse.up();
    const { tasks, gaps } = await page.evaluate(async () => {
      await new Promise((done) => setTimeout(done, 100));
      window.watching = false;
      return { tasks: window.tasks, gaps: window.gaps.sort((a, b) => a - b) };
    });
    const ms = (x: number | undefined) => `${(x ?? 0).toFixed(0)} ms`.padStart(12);
    console.log(`${view.padEnd(12)} ${String(moves).padStart(6)} ${tasks.length ? ms(Math.max(...tasks)) : "     < 50 ms"}  ${ms(gaps.at(-1))} ${ms(gaps[gaps.length >> 1])}`);
    await page.focus("#timeline");
    await page.keyboard.press("Escape");
  }
  await page.close();
}
await browser.close();
