/** The examples of `ktally explain` are what ktally finds in the fixtures that they name; `-u` makes them anew. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { analyze } from "../index.js";
import { styleFor } from "../report/style.js";
import { storyLines } from "../report/text.js";
import { alarms, auditFiles } from "../testing/audits.js";
import { fixture } from "../testing/program.js";
import { EXAMPLES } from "./examples.js";
import { RULE_IDS } from "./finding.js";
import { RULES } from "./index.js";

const COLUMNS = 100;

function truthOf(name: string): { kernel: string; what: string; expected: unknown[]; origin: string } {
  return JSON.parse(readFileSync(fixture(`${name}.truth.json`), "utf8"));
}

function traceOf(name: string): string {
  return [".dat.xz", ".txt"].map((end) => fixture(name + end)).find((path) => existsSync(path)) ?? name;
}

function wrapped(text: string, indent: string, first = indent): string {
  const lines: string[] = [];
  let line = first;
  for (const word of text.split(" ")) {
    if (line.trim() !== "" && line.length + 1 + word.length > COLUMNS) {
      lines.push(line);
      line = indent;
    }
    line += line === first || line === indent ? word : ` ${word}`;
  }
  return [...lines, line].join("\n");
}

async function exampleOf(rule: keyof typeof EXAMPLES): Promise<string> {
  const { fixture: name, alike } = EXAMPLES[rule];
  const { kernel, what } = truthOf(name);
  const analysis = await analyze([traceOf(name)]);
  try {
    const finding = analysis.view.findings().find((one) => one.rule === rule);
    if (!finding) throw new Error(`${name}: ${rule} is not found in it`);
    const fixed = finding.fixed_by === null ? [] : [wrapped(finding.fixed_by, "            ", "  fixed by  ")];
    const others = Object.entries(alike).map(([other, why]) => wrapped(`${why} (${other})`, "    ", "  - "));
    return [
      wrapped(`Example, of a kernel that ran (Linux ${kernel}, fixture ${name}): ${what}.`, ""),
      "",
      wrapped(`${finding.title} (${finding.verdict})`, "  "),
      wrapped(finding.explanation, "  "),
      "",
      ...storyLines(finding, [], styleFor(false)).map((line) => line.trimEnd()),
      "",
      wrapped(finding.culprit, "            ", "  to blame  "),
      wrapped(finding.expected, "            ", "  expected  "),
      ...fixed,
      "",
      "Looks like it and is right, also recorded:",
      ...others,
      "",
    ].join("\n");
  } finally {
    analysis.close();
  }
}

describe.each(RULE_IDS)("the example of %s", (rule) => {
  it("is what ktally finds in a recording of a kernel", async () => {
    expect(truthOf(EXAMPLES[rule].fixture).origin).toBe("kernel");
    await expect(await exampleOf(rule)).toMatchFileSnapshot(`examples/${rule}.txt`);
  });

  it.each(Object.keys(EXAMPLES[rule].alike))("has a healthy double: %s", async (name) => {
    expect(truthOf(name)).toMatchObject({ origin: "kernel", expected: [] });
    expect(alarms(await auditFiles(traceOf(name)))).toEqual([]);
  });
});

describe("every rule", () => {
  it("has a file of its name, and a page that says what it does not accuse and how the kernel was mended", () => {
    const files = readdirSync(new URL(".", import.meta.url));
    for (const { meta } of RULES) {
      expect(files).toContain(`${meta.id}.ts`);
      expect(meta.page, meta.id).toContain("Not accused:");
      expect(meta.page, meta.id).toMatch(/Fixed before:[\s\S]*(\b[0-9a-f]{12}\b|RFC)/);
    }
    expect(RULES.map(({ meta }) => meta.id).sort()).toEqual([...RULE_IDS].sort());
  });

  it("has an example, and no example is without its rule", () => {
    const examples = readdirSync(new URL("examples", import.meta.url));
    expect(examples.sort()).toEqual(RULE_IDS.map((id) => `${id}.txt`).sort());
  });
});
