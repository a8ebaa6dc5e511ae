/** The HTML report in a real browser: what is seen, and that nothing else happens. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { analyze } from "../index.js";
import { fixture } from "../testing/program.js";
import { REPORTS } from "./index.js";
import { HOSTILE, hostileTrace } from "./testing/hostile.js";

const folder = mkdtempSync(join(tmpdir(), "ktally-html-"));
let browser: Browser;
beforeAll(async () => {
  // Root has no sandbox of its own; the pages are ours.
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox"],
  });
});
afterAll(async () => {
  await browser.close();
  rmSync(folder, { recursive: true });
});

async function written(trace: string, format: string): Promise<string> {
  const analysis = await analyze([trace]);
  try {
    const report = REPORTS[format]?.(analysis.view, { color: false, width: null }) ?? "";
    const path = join(folder, `report.${format}`);
    writeFileSync(path, typeof report === "string" ? report : [...report].join(""));
    return path;
  } finally {
    analysis.close();
  }
}

/** Opens the report of a trace; `calls` collects everything that the page asks for or complains about. */
async function opened(trace: string, options: { colorScheme?: "light" | "dark"; width?: number } = {}) {
  const path = await written(trace, "html");
  const page = await browser.newPage({
    colorScheme: options.colorScheme ?? "light",
    viewport: { width: options.width ?? 1200, height: 900 },
  });
  const calls: string[] = [];
  page.on("request", (request) => calls.push(request.url()));
  page.on("console", (message) => calls.push(message.text()));
  page.on("pageerror", (error) => calls.push(String(error)));
  page.on("dialog", (dialog) => calls.push(dialog.message()));
  const url = pathToFileURL(path).href;
  await page.goto(url);
  return { page, calls: () => calls.filter((call) => call !== url) };
}

/** Everything that could run or load something. */
function active(page: Page): Promise<string[]> {
  return page.evaluate(`[...document.querySelectorAll("*")].flatMap((element) => [
    ...(/^(script|iframe|img|link|object|embed|form|a)$/i.test(element.tagName) ? [element.tagName] : []),
    ...[...element.attributes].filter(({ name }) => /^(on|src|href)/i.test(name)).map(({ name }) => name),
  ])`);
}

describe("the HTML report", () => {
  it("shows the story and the counter as a step line, and asks for nothing", async () => {
    const { page, calls } = await opened(fixture("vcpu-fd-leak-6.1.dat.xz"));
    expect(await page.textContent("h1")).toBe("1 suspicion");
    expect(await page.textContent("section.finding h2")).toMatch(/was never destroyed although .* leak · suspected/);
    expect(await page.locator("section.finding tbody tr").count()).toBe(6);
    const steps = await page.locator("svg.counter path").getAttribute("d");
    // One rise or fall per operation that tells the counter: 1 2 3 4 3 2.
    expect(steps?.match(/V/g)).toHaveLength(9);
    expect(await page.locator("svg.counter text").allTextContents()).toEqual(["0", "1", "2", "3", "4", "3", "2"]);
    expect(await page.locator("svg.counter").boundingBox()).toMatchObject({ height: expect.any(Number) });
    expect(await active(page)).toEqual([]);
    expect(calls()).toEqual([]);
    await page.close();
  });

  it("is dark where the system is, and fits a narrow window", async () => {
    const look = async (colorScheme: "light" | "dark") => {
      const { page } = await opened(fixture("seed0-stale-device-ops-6.1.dat.xz"), { colorScheme, width: 380 });
      const back = await page.evaluate<string>("getComputedStyle(document.body).backgroundColor");
      const wide = await page.evaluate<number>("document.documentElement.scrollWidth - window.innerWidth");
      await page.close();
      return { back: Number(/\d+/.exec(back)?.[0]), wide };
    };
    const [light, dark] = [await look("light"), await look("dark")];
    expect(light.back).toBeGreaterThan(200);
    expect(dark.back).toBeLessThan(50);
    expect([light.wide, dark.wide]).toEqual([0, 0]);
  });

  it.each(HOSTILE)("shows the task name %j as text", async (name) => {
    const trace = join(folder, "hostile.txt");
    writeFileSync(trace, hostileTrace(name));
    const { page, calls } = await opened(trace);
    const tasks = await page.locator("section.finding tbody tr td:nth-child(2)").allTextContents();
    expect(tasks.length).toBeGreaterThan(0);
    expect(await active(page)).toEqual([]);
    expect(calls()).toEqual([]);
    await page.close();
  });
});

describe("the JUnit report", () => {
  it.each(HOSTILE)("is well-formed with the task name %j", async (name) => {
    const trace = join(folder, "hostile.txt");
    writeFileSync(trace, hostileTrace(name));
    const { page } = await opened(trace);
    const text = readFileSync(await written(trace, "junit"), "utf8");
    const parsed = `new DOMParser().parseFromString(${JSON.stringify(text)}, "application/xml")`;
    const seen = await page.evaluate<[number, number]>(
      `((xml) => ["parsererror", "testcase > failure"].map((name) => xml.querySelectorAll(name).length))(${parsed})`,
    );
    expect(seen).toEqual([0, expect.any(Number)]);
    expect(seen[1]).toBeGreaterThan(0);
    await page.close();
  });
});
