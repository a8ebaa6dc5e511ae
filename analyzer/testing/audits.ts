/** Audits in tests: from items in memory, from text, and what to compare of them. */
import { rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defaultCatalog } from "../../collectors/catalog/default.js";
import { type AuditOutcome, auditReaders, runAudit } from "../audit.js";
import { openTrace } from "../import/registry.js";
import type { SourceFacts, TraceItem, TraceReader } from "../import/trace-event.js";

const catalog = defaultCatalog();

/** A recording read once, to be audited many times in changed form. */
export interface Recording {
  facts: SourceFacts;
  items: TraceItem[];
}

export async function record(path: string): Promise<Recording> {
  const reader = await openTrace(path);
  const items: TraceItem[] = [];
  for await (const batch of reader.read(() => true)) items.push(...batch);
  // Symbols are parsed on demand, while the file is open.
  reader.facts.symbols?.modules();
  reader.close();
  return { facts: reader.facts, items };
}

/** A reader of items in memory; only wanted ones, as a real one does. */
export function memoryReader({ facts, items }: Recording): TraceReader {
  return {
    facts: { ...facts, cpus: spansOf(items), gaps: items.filter((item) => item.kind === "gap") },
    async *read(wants) {
      const wanted = new Map<unknown, boolean>();
      const batch = items.filter((item) => {
        if (item.kind === "gap") return true;
        let answer = wanted.get(item.probe);
        if (answer === undefined) {
          answer = wants(item.probe);
          wanted.set(item.probe, answer);
        }
        return answer;
      });
      yield batch.map((item) => ({ ...item }));
    },
    close() {},
  };
}

/** First and last record of each CPU, of what is left. */
function spansOf(items: readonly TraceItem[]): SourceFacts["cpus"] {
  const spans: SourceFacts["cpus"] = new Map();
  for (const item of items) {
    if (item.kind === "gap") continue;
    const span = spans.get(item.cpu);
    if (span) span.last = item.time;
    else spans.set(item.cpu, { first: item.time, last: item.time });
  }
  return spans;
}

export function auditRecording(recording: Recording): Promise<AuditOutcome> {
  return auditReaders([memoryReader(recording)], { catalog, classes: null }, null);
}

export function auditFiles(...paths: string[]): Promise<AuditOutcome> {
  return runAudit(paths, { catalog, classes: null }, null);
}

let files = 0;

/** Audits text as a file would be. */
export async function auditText(text: string, ...more: string[]): Promise<AuditOutcome> {
  const path = join(tmpdir(), `ktally-test-${process.pid}-${++files}.txt`);
  writeFileSync(path, text);
  try {
    return await auditFiles(...more, path);
  } finally {
    rmSync(path);
  }
}

/** Findings in one line each: root or consequence, rule, verdict, class, object's key, culprit. */
export function findingLines(outcome: AuditOutcome): string[] {
  return outcome.findings.map((finding) => {
    const mark = finding.consequenceOf === null ? "" : "-> ";
    const key = finding.object.key ?? `0x${finding.object.address?.toString(16)}`;
    return `${mark}${finding.rule} ${finding.verdict} ${finding.class.class} ${key} ${finding.culprit.function}`;
  });
}

/** Proven and derived errors: what would make `analyze` exit with 1. */
export function alarms(outcome: AuditOutcome): string[] {
  return outcome.findings
    .filter((finding) => finding.level === "error" && finding.verdict !== "suspected")
    .map((finding) => `${finding.rule} ${finding.verdict} ${finding.title}`);
}

/** `class: state` of everything that is not absent. */
export function coverageStates(outcome: AuditOutcome): Record<string, string> {
  const seen = outcome.coverage.filter((coverage) => coverage.state !== "absent");
  return Object.fromEntries(seen.map((coverage) => [coverage.class.class, coverage.state]));
}

/** Every object's operations and values: what two recordings of one run must have in common. */
export function ledgers(outcome: AuditOutcome): string[] {
  return [...outcome.world.objects.all()]
    .map((object) => {
      const key = typeof object.key === "string" ? object.key : `0x${object.key.toString(16)}`;
      const operations = object.history.map(
        ({ effect, delta, read, outcome: result }) => `${effect}${delta}@${read?.value ?? "-"}${result[0]}`,
      );
      const breaks = object.ledger?.breaks.map(({ expected, read }) => `${expected}!${read}`).join(" ") ?? "";
      return `${object.class.class} ${key} #${object.generation} ${object.state} ${operations.join(" ")} [${breaks}]`;
    })
    .sort();
}
