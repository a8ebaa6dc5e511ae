import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { analyze } from "../index.js";
import { fixture } from "../testing/program.js";
import { harmless } from "./harmless.js";
import { REPORTS } from "./index.js";
import { auditJson, auditJsonSchema } from "./json-model.js";
import { HOSTILE, hostileTrace } from "./testing/hostile.js";

const folder = mkdtempSync(join(tmpdir(), "ktally-report-"));
afterAll(() => rmSync(folder, { recursive: true }));

async function reportOf(path: string, name: string, width: number | null = null, color = false): Promise<string> {
  const analysis = await analyze([path]);
  try {
    const report = REPORTS[name]?.(analysis.view, { color, width }) ?? "";
    return typeof report === "string" ? report : [...report].join("");
  } finally {
    analysis.close();
  }
}

const SEED = fixture("seed0-stale-device-ops-6.1.dat.xz");
const texts = readdirSync(fixture(".")).filter((name) => /^seq-.*\.txt$/.test(name));

// Everything below the space but the line end, DEL, C1, and what turns the direction of text.
const ACTIVE = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069]/;

describe("the text report", () => {
  it("tells the story of the bundled recording", async () => {
    const text = await reportOf(SEED, "text");
    expect(text).toMatch(/^1 bug {3}kvm_device_ops type 4 .* stayed registered after kvm_exit +stale-ops · proven\n/);
    const story = [...text.matchAll(/^ +\d+\.\d{6} {2}\S+ \d+ +(\S+)\(.*?\)( = \S+)?/gm)].map(
      (match) => `${match[1]}${match[2] ?? ""}`,
    );
    expect(story).toEqual(["kvm_register_device_ops = 0", "kvm_exit", "kvm_register_device_ops = -EEXIST"]);
    for (const label of ["to blame", "sure", "fixed by", "seen"]) expect(text).toContain(`\n  ${label} `);
    expect(text).not.toMatch(ACTIVE);
  });

  it("keeps its sentences within an 80-column terminal", async () => {
    const text = await reportOf(SEED, "text", 80);
    const [, ...lines] = text.split("\n");
    // The title is one line, and so is each event; the rest is wrapped.
    const long = lines.filter((line) => line.length > 80 && !/^ {2,}\d+\.\d{6} /.test(line) && !line.includes(SEED));
    expect(long).toEqual([]);
  });

  it("is the same without its colours", async () => {
    const plain = await reportOf(SEED, "text", 100);
    const colored = await reportOf(SEED, "text", 100, true);
    expect(colored).not.toBe(plain);
    expect(colored.replace(/\u001b\[\d+m/g, "")).toBe(plain);
  });

  it.each(HOSTILE)("shows the task name %j without obeying it", async (name) => {
    const path = join(folder, "hostile.txt");
    writeFileSync(path, hostileTrace(name));
    const text = await reportOf(path, "text");
    expect(text).not.toMatch(ACTIVE);
    expect(text).toContain("stale-ops · proven");
  });
});

describe("every report", () => {
  it.each(Object.keys(REPORTS))("%s shows a hostile name without obeying it", async (format) => {
    for (const name of HOSTILE) {
      const path = join(folder, "hostile.txt");
      writeFileSync(path, hostileTrace(name));
      const text = await reportOf(path, format);
      // JSON has escapes of its own for what is below the space, and says the rest as it was recorded.
      if (!["json", "sarif"].includes(format)) expect(text).not.toMatch(ACTIVE);
      expect(text).toContain("stale-ops");
    }
  });

  it.each(["html", "junit"])("%s escapes markup", async (format) => {
    const path = join(folder, "markup.txt");
    writeFileSync(path, hostileTrace("<b onclick=x>"));
    const text = await reportOf(path, format);
    expect(text).not.toContain("<b onclick");
    expect(text).toContain("&lt;b onclick=x&gt;");
  });
});

describe("harmless text", () => {
  it.each([
    ["plain", "plain"],
    ["\u001b[31m", "\\e[31m"],
    ["a\nb\r\tc", "a\\nb\\r\\tc"],
    ["\u0000\u007f\u009b", "\\x00\\x7f\\x9b"],
    ["a\u202eb", "a\\u202eb"],
    ["ünïcode 漢字 🙂", "ünïcode 漢字 🙂"],
  ])("%j", (text, expected) => {
    expect(harmless(text)).toBe(expected);
  });
});

describe("the JSON report", () => {
  it.each([...texts, "seed0-stale-device-ops-6.1.dat.xz"])("of %s is what its schema says", async (name) => {
    const json = auditJson.parse(JSON.parse(await reportOf(fixture(name), "json")));
    const ids = new Set(json.findings.map((finding) => finding.id));
    expect(json.findings.every((finding) => finding.consequence_of === null || ids.has(finding.consequence_of))).toBe(
      true,
    );
    // Judged by the same numbers.
    const bug = json.findings.some((finding) => finding.level === "error" && finding.verdict !== "suspected");
    expect(json.exit === 1).toBe(bug);
  });

  it("says who holds what is alive", async () => {
    const json = auditJson.parse(JSON.parse(await reportOf(fixture("vcpu-fd-leak-6.1.dat.xz"), "json")));
    const alive = json.objects.filter(({ class: name, state }) => name === "kvm" && state === "alive");
    expect(alive.map(({ holders }) => holders)).toEqual([["vCPU file, work (197)", "vCPU file, work (197)"]]);
    expect(json.objects.every(({ state, holders }) => state !== "destroyed" || holders.length === 0)).toBe(true);
  });

  it("keeps a hostile name as it was recorded", async () => {
    const name = 'a\u001b[31m"b';
    const path = join(folder, "hostile-json.txt");
    writeFileSync(path, hostileTrace(name));
    const json = auditJson.parse(JSON.parse(await reportOf(path, "json")));
    expect(json.findings[0]?.events[0]?.comm).toBe(name);
  });

  it("is published with its schema, which KTALLY_BLESS=1 renews", () => {
    const file = new URL("audit.schema.json", import.meta.url);
    const schema = auditJsonSchema();
    if (process.env.KTALLY_BLESS) writeFileSync(file, `${JSON.stringify(schema, null, 2)}\n`);
    expect(JSON.parse(readFileSync(file, "utf8"))).toEqual(schema);
  });
});
