// The page in headless Chromium: of a made-up report that has everything, and of each page named in ALLOT_PAGES (of real programs).
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import test, { after, before } from "node:test";
import { pathToFileURL } from "node:url";
import { gunzipSync } from "node:zlib";
import type { Browser, Page } from "playwright-core";
import type { Report } from "../../src/data";
import { VIEWS, type View } from "../../src/model/hash";
import { chromium } from "../chromium";
import { fixture } from "../fixture";
import { written } from "../page";

const made = written("everything", fixture({ diff: true })), bare = written("bare", fixture({ bare: true, timed: false }));
const real = (process.env.ALLOT_PAGES ?? "").split(":").filter(Boolean);
let browser: Browser;
before(async () => { browser = await chromium(); });
after(async () => { await browser.close(); });

function reportOf(file: string): Report {
  return JSON.parse(gunzipSync(Buffer.from(/id="data">([^<]*)</.exec(readFileSync(file, "utf8"))![1]!, "base64")).toString());
}

// A page that tells of every error and of every request that leaves it.
async function open(file: string, how: { hash?: string; width?: number; dark?: boolean } = {}): Promise<{ page: Page; wrong: string[]; done: () => Promise<void> }> {
  const width = how.width ?? 1280, wrong: string[] = [];
  const context = await browser.newContext({ viewport: { width, height: width < 600 ? 844 : 800 }, colorScheme: how.dark ? "dark" : "light", hasTouch: width < 600, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.on("console", (message) => { if (message.type() === "error" || message.type() === "warning") wrong.push(message.text()); });
  page.on("pageerror", (error) => wrong.push(error.message));
  page.on("request", (request) => { if (!/^(file|data|blob):/.test(request.url())) wrong.push(`request to ${request.url()}`); });
  await page.goto(pathToFileURL(file).href + (how.hash ? `#${how.hash}` : ""));
  await page.waitForSelector(".tabs");
  await settled(page);
  return { page, wrong, done: async () => { await context.close(); assert.deepEqual(wrong, []); } };
}

// All that was asked for is drawn: a frame for what comes once a frame, one for the canvases, and one more.
const settled = (page: Page) => page.evaluate(() => new Promise<void>((done) => requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))));

// What a canvas shows: how many colours, and a number that stands for its pixels.
const look = (page: Page, selector: string) => page.$eval(selector, (element) => {
  const canvas = element as HTMLCanvasElement, copy = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height }), context = copy.getContext("2d", { willReadFrequently: true })!;
  context.drawImage(canvas, 0, 0);
  const pixels = new Uint32Array(context.getImageData(0, 0, copy.width, copy.height).data.buffer), seen = new Set<number>();
  let hash = copy.width * 65536 + copy.height;
  for (let i = 0; i < pixels.length; i++) {
    hash = Math.imul(hash ^ pixels[i]!, 0x01000193);
    if (i % 7 === 0 && pixels[i]! >>> 24) seen.add(pixels[i]!);
  }
  return { colours: seen.size, hash };
});
const colours = async (page: Page, selector: string) => (await look(page, selector)).colours;
const picture = async (page: Page, selector: string) => (await look(page, selector)).hash;
const text = (page: Page, selector: string) => page.$eval(selector, (element) => (element as HTMLElement).innerText);

async function brush(page: Page, from: number, to: number): Promise<void> {
  const box = (await (await page.$("#timeline .u-over"))!.boundingBox())!, y = box.y + box.height / 2;
  await page.mouse.move(box.x + from * box.width, y);
  await page.mouse.down();
  await page.mouse.move(box.x + ((from + to) / 2) * box.width, y, { steps: 3 });
  await page.mouse.move(box.x + to * box.width, y, { steps: 3 });
  await page.mouse.up();
  await settled(page);
}

const go = async (page: Page, view: View) => { await page.click(`#tab-${view}`); await settled(page); };

// Where a view's picture is; a view without one is of text.
const CANVAS: Partial<Record<View, string>> = { flame: "#flame", map: "#map", sizes: "#sizes", lifetimes: "#lifetimes", threads: "#threads", strategies: ".strategy canvas", steps: ".placings canvas" };
const SAYS: Partial<Record<View, string>> = { sites: "tbody td .name", leaks: ".leaks li", advice: ".advice li", diff: "table.diff tbody tr" };

for (const file of [made, ...real])
  test(`${basename(file)}: each view renders, at both widths, and nothing leaves the page`, async () => {
    const report = reportOf(file);
    const there = (view: View) => view === "flame" ? report.about.has_stacks : view === "steps" ? Boolean(report.strategies?.steps?.ops.length)
      : view === "lifetimes" ? report.lifetimes.interval.length > 0 : view === "leaks" ? Boolean(report.leaks?.length) : view === "advice" ? Boolean(report.advice?.length)
        : ["map", "threads", "strategies", "diff"].includes(view) ? report[view as "map"] !== undefined : true;
    for (const width of [1280, 390]) {
      const { page, done } = await open(file, { width, dark: width === 390 });
      assert.equal((await page.$$(".sentence")).length, report.verdict.length);
      if (basename(file) === "planted-leak.html") assert.ok(await page.isVisible(".sentence.lead.bad"), "what is wrong stands first");
      const lead = (await (await page.$(".sentence.lead"))!.boundingBox())!;
      assert.ok(lead.y + lead.height < (width === 390 ? 844 : 800), "the first sentence is on the first screen");
      assert.ok((await colours(page, "#timeline canvas")) > 3, "the timeline is drawn");
      for (const view of VIEWS) {
        await go(page, view);
        assert.equal(await page.getAttribute(`#tab-${view}`, "aria-selected"), "true");
        if (!there(view)) assert.ok(await page.$(".missing"), `${view} says why it is empty`);
        else if (CANVAS[view]) assert.ok((await colours(page, CANVAS[view]!)) > 2, `${view} is drawn`);
        else assert.ok((await page.$$(SAYS[view]!)).length > 0, `${view} has rows`);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(wide <= width, `${view} is ${wide} wide on ${width}`);
      }
      await done();
    }
  });

test("the brush changes every view that shows a time", async () => {
  const { page, done } = await open(made);
  const views: [View, string][] = [["flame", "#flame"], ["map", "#map"], ["sizes", "#sizes"], ["lifetimes", "#lifetimes"], ["threads", "#threads"], ["strategies", ".strategy canvas"]];
  for (const [view, canvas] of views) {
    await go(page, view);
    const was = await picture(page, canvas);
    await brush(page, 0.1, 0.3);
    const now = await picture(page, canvas);
    assert.notEqual(now, was, view);
    await brush(page, 0.2, 0.45); // the body is taken hold of: it moves
    assert.notEqual(await picture(page, canvas), now, `${view} with the brush moved`);
    await page.focus("#timeline");
    await page.keyboard.press("Escape");
    await settled(page);
    assert.equal(await picture(page, canvas), was, `${view} with all again`);
  }
  await go(page, "sites");
  const rows = () => text(page, "table.sites tbody");
  const all = await rows(), summary = await text(page, ".selection");
  await brush(page, 0.56, 0.66);
  assert.notEqual(await rows(), all);
  assert.notEqual(await text(page, ".selection"), summary);
  for (const view of ["leaks", "advice", "diff"] as const) { // they say what the selection means to them
    await go(page, view);
    assert.match(await text(page, ".panel"), /selection|Advice/);
  }
  await done();
});

test("the brush's edges widen it, and its figures are those of its intervals", async () => {
  const { page, done } = await open(made, { hash: "t=40-79" }), report = reportOf(made);
  const allocs = (from: number, to: number) => report.timeline.allocs.slice(from, to + 1).reduce((a, b) => a + b, 0).toLocaleString("en");
  assert.ok((await text(page, ".selection")).includes(`${allocs(40, 79)} allocations`));
  await brush(page, 80 / 160, 120 / 160 - 0.001);
  await page.waitForFunction(() => /t=40-119/.test(location.hash));
  assert.ok((await text(page, ".selection")).includes(`${allocs(40, 119)} allocations`));
  await done();
});

test("a verdict's sentence leads to its view", async () => {
  const { page, done } = await open(made);
  await page.click(".sentence >> nth=1");
  await settled(page);
  assert.equal(await page.getAttribute("#tab-flame", "aria-selected"), "true");
  assert.equal(await page.getAttribute("[role=radio]:has-text('Growth')", "aria-checked"), "true");
  assert.match(await text(page, ".card"), /Cache::put/);
  await page.click(".sentence >> nth=0");
  assert.equal(await page.getAttribute("#tab-leaks", "aria-selected"), "true");
  await page.waitForFunction(() => /view=leaks/.test(location.hash));
  await page.goBack();
  await settled(page);
  assert.equal(await page.getAttribute("#tab-flame", "aria-selected"), "true");
  await done();
});

test("the address keeps the state, and an address of another report does no harm", async () => {
  const first = await open(made, { hash: "view=sites&t=10-50&q=json&sort=allocs&site=2" });
  assert.equal(await first.page.getAttribute("#tab-sites", "aria-selected"), "true");
  assert.equal(await first.page.inputValue("#search"), "json");
  assert.match(await text(first.page, ".card"), /json::Node::make/);
  assert.deepEqual(await first.page.$$eval("tbody .name", (all) => all.map((one) => one.textContent)), ["json::Node::make", "json::Parser::string"]);
  await first.done();
  const odd = await open(made, { hash: "view=nothing&t=900-1&site=99999&mode=%3Cscript%3E&at=x&process=7&sort=constructor" });
  assert.equal(await odd.page.getAttribute("#tab-flame", "aria-selected"), "true");
  await odd.done();
});

test("search finds, in the flame graph and in the table", async () => {
  const { page, done } = await open(made);
  const was = await picture(page, "#flame");
  await page.keyboard.press("/");
  await page.keyboard.type("session::create");
  await settled(page);
  assert.match(await text(page, ".status"), /1 function with “session::create”: .*MiB, \d/);
  assert.notEqual(await picture(page, "#flame"), was);
  await go(page, "sites");
  assert.deepEqual(await page.$$eval("tbody .name", (all) => all.map((one) => one.textContent)), ["Session::create", "Token::issue"]);
  await page.fill("#search", "session::create -token");
  await settled(page);
  assert.deepEqual(await page.$$eval("tbody .name", (all) => all.map((one) => one.textContent)), ["Session::create"]);
  await page.focus("#search");
  await page.keyboard.press("Escape");
  await settled(page);
  assert.equal(await page.inputValue("#search"), "");
  await done();
});

test("the flame graph: modes, inversion, merged recursion, zoom, change", async () => {
  const { page, done } = await open(made);
  const seen = new Set<number>();
  for (const mode of ["Peak", "Moment", "Growth", "Leaked", "Temporary", "Count", "Bytes", "Slack", "Pinned pages"]) {
    await page.click(`[role=radio]:text-is("${mode}")`);
    await settled(page);
    seen.add(await picture(page, "#flame"));
  }
  assert.ok(seen.size >= 8, `${seen.size} different pictures of 9 modes; at the peak, peak and moment are one`);
  await page.click("[role=radio]:text-is('Temporary')");
  for (const name of ["Inverted", "Merge recursion", "Colour by change"]) {
    const was = await picture(page, "#flame");
    await page.click(`[role=switch]:has-text("${name}")`);
    await settled(page);
    assert.notEqual(await picture(page, "#flame"), was, name);
    await page.click(`[role=switch]:has-text("${name}")`);
  }
  await settled(page);
  await page.focus("#flame");
  for (const press of ["ArrowDown", "ArrowDown", "ArrowDown", "Enter"]) await page.keyboard.press(press);
  await settled(page);
  assert.match(await text(page, ".status"), /Server::run/);
  await page.keyboard.press("Backspace");
  await page.keyboard.press("ArrowUp");
  await settled(page);
  assert.match(await text(page, ".status"), /__libc_start_main|main/);
  await done();
});

test("the map: a click chooses moment and row, keys move both, owners are named", async () => {
  const { page, done } = await open(made, { hash: "view=map" });
  await page.evaluate(() => document.getElementById("dock")!.scrollIntoView());
  const box = (await (await page.$("#map"))!.boundingBox())!;
  await page.mouse.click(box.x + box.width * 0.9, box.y + box.height * 0.3);
  await settled(page);
  assert.match(await text(page, "#view"), /Row at 0x7f3a/);
  assert.match(await text(page, "#view"), /Log::Record::Record/);
  await page.focus("#map");
  const was = await text(page, "#view");
  await page.keyboard.press("Shift+ArrowLeft");
  await page.keyboard.press("Shift+ArrowUp");
  await settled(page);
  assert.notEqual(await text(page, "#view"), was);
  assert.ok((await colours(page, "#map-strip")) > 3);
  await done();
});

test("step by step: step, back, play and keys", async () => {
  const { page, done } = await open(made, { hash: "view=steps" });
  const step = () => text(page, ".player .figure");
  assert.equal(await step(), "1 / 120");
  await page.click("[aria-label='One step on']");
  assert.equal(await step(), "2 / 120");
  const was = await picture(page, ".placings canvas");
  await page.focus("#steps");
  await page.keyboard.press("Shift+ArrowRight");
  await settled(page);
  assert.equal(await step(), "12 / 120");
  assert.notEqual(await picture(page, ".placings canvas"), was);
  await page.keyboard.press("ArrowLeft");
  assert.equal(await step(), "11 / 120");
  await page.keyboard.press("Home");
  await page.click("[role=radio]:text-is('16 /s')");
  await page.focus("#steps");
  await page.keyboard.press(" ");
  await page.waitForFunction(() => Number((document.querySelector(".player .figure") as HTMLElement).innerText.split(" ")[0]) >= 4);
  await page.keyboard.press(" ");
  await page.keyboard.press("End");
  assert.equal(await step(), "120 / 120");
  await done();
});

test("of several processes one is chosen", async () => {
  const { page, done } = await open(written("processes", fixture({ worker: true }))), views: [View, string][] = [["flame", "#flame"], ["map", "#map"], ["threads", "#threads"]];
  for (const [view, canvas] of views) {
    await go(page, view);
    await page.selectOption(".process select", "");
    await settled(page);
    const was = await picture(page, canvas);
    await page.selectOption(".process select", "2");
    await settled(page);
    assert.notEqual(await picture(page, canvas), was, view);
  }
  assert.match(await text(page, ".panel"), /^Threads\s+2 threads/);
  await go(page, "sites");
  assert.deepEqual(await page.$$eval("tbody .name", (all) => all.map((one) => one.textContent)), ["Worker::run", "Worker::resize", "Queue<…>::push"]);
  await page.waitForFunction(() => /process=2/.test(location.hash));
  await done();
});

test("keys: help, views, theme, and every control is reached by tab", async () => {
  const { page, done } = await open(made);
  await page.keyboard.press("?");
  await page.waitForSelector("dialog[open]");
  await page.keyboard.press("Escape");
  await page.waitForSelector("dialog:not([open])", { state: "attached" });
  await page.keyboard.press("]");
  assert.equal(await page.getAttribute("#tab-sites", "aria-selected"), "true");
  await page.keyboard.press("3");
  assert.equal(await page.getAttribute("#tab-map", "aria-selected"), "true");
  const shade = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await shade();
  await page.keyboard.press("d");
  assert.notEqual(await shade(), light);
  await page.keyboard.press("1");
  await page.keyboard.press("t");
  await page.keyboard.press("Home");
  await page.keyboard.press("Shift+ArrowRight");
  await page.keyboard.press("Shift+ArrowRight");
  await page.waitForFunction(() => /t=0-2/.test(location.hash));
  const reached = new Set<string>();
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press("Tab");
    reached.add(await page.evaluate(() => document.activeElement?.id || document.activeElement?.getAttribute("role") || document.activeElement?.className || ""));
  }
  for (const id of ["search", "timeline", "tab-flame", "flame", "switch", "radio"]) assert.ok(reached.has(id), `${id} of ${[...reached].join(" ")}`);
  const unnamed = await page.$$eval("button, input, select, canvas, [role=application]", (all) => all.filter((one) => !(one.getAttribute("aria-hidden") || one.getAttribute("aria-label") || (one as HTMLElement).innerText.trim() || one.closest("label"))).map((one) => one.outerHTML.slice(0, 80)));
  assert.deepEqual(unnamed, []);
  await done();
});

test("leaks: a suppression is copied, verdicts are chosen", async () => {
  const { page, done } = await open(made, { hash: "view=leaks" });
  assert.equal((await page.$$(".leaks li.reachable")).length, 0);
  await page.click("[role=switch]:has-text('reachable')");
  assert.equal((await page.$$(".leaks li.reachable")).length, 1);
  assert.match(await text(page, ".leaks li.reachable .path"), /g_cache[\s\S]*hash node/);
  await page.click(".leaks li:first-child .act .button");
  await page.waitForSelector(".act .button:text-is('Copied')");
  await done();
});

test("what a trace lacks is said, with the command that gives it", async () => {
  const { page, done } = await open(bare);
  for (const view of ["map", "leaks", "threads", "strategies", "steps", "advice", "diff"] as const) {
    await go(page, view);
    assert.match(await text(page, ".missing"), /allot (record|report) /, view);
  }
  assert.match(await text(page, ".selection"), /events/);
  await done();
});

test("a page without data, or with data that is damaged, says so", async () => {
  const context = await browser.newContext(), page = await context.newPage();
  await page.goto(pathToFileURL(process.env.ALLOT_PAGE ?? "dist/index.html").href);
  assert.match(await text(page, "[role=alert]"), /no data/);
  await context.close();
});
