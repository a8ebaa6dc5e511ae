/** What the properties share that look for alarms in recordings which somebody cut, reprinted or lost parts of. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import type { AuditOutcome } from "../audit.js";
import { auditRecording, type Recording, record } from "./audits.js";
import type { DropPlan } from "./drops.js";

const FOLDER = new URL("../../fixtures/", import.meta.url).pathname;

interface Truth {
  origin: string;
  expected: { rule: string; class: string }[];
  /** Further findings that may be told, of any class. */
  may?: { rule: string }[];
}

function truthOf(name: string): Truth {
  return JSON.parse(readFileSync(`${FOLDER}${name}.truth.json`, "utf8"));
}

/** Fixtures that a real kernel's trace.dat is there of. */
export const RECORDED: readonly string[] = readdirSync(FOLDER)
  .filter((name) => name.endsWith(".truth.json"))
  .map((name) => name.replace(".truth.json", ""))
  .filter((name) => existsSync(`${FOLDER}${name}.dat.xz`) && truthOf(name).origin === "kernel");

/**
 * How long a property looks, `examples` first. By itself it looks at the same cases each time, so that a test that
 * passed passes again; with the variable set at so many that nobody has seen.
 */
export function searched<T = never>(
  variable: string,
  usual: number,
  examples: readonly T[] = [],
): { numRuns: number; examples: [T][]; seed?: number } {
  const asked = process.env[variable];
  const numRuns = Number(asked ?? usual) + examples.length;
  return { numRuns, examples: examples.map((one) => [one]), ...(asked === undefined ? { seed: 1 } : {}) };
}

/** Errors that are more than suspected, as rule and class. */
function accused(outcome: AuditOutcome | null): string[] {
  return (outcome?.findings ?? [])
    .filter(({ level, verdict }) => level === "error" && verdict !== "suspected")
    .map((finding) => `${finding.rule} ${finding.class.class}`);
}

/** A fixture's recording, and what of an outcome neither the whole of it nor its truth says. */
export async function recorded(
  name: string,
): Promise<{ recording: Recording; news: (outcome: AuditOutcome | null) => string[] }> {
  const recording = await record(`${FOLDER}${name}.dat.xz`);
  const { expected, may = [] } = truthOf(name);
  const known = new Set([
    ...accused(await auditRecording(recording)),
    ...expected.map(({ rule, class: of }) => `${rule} ${of}`),
  ]);
  const isAllowed = (one: string) => may.some(({ rule }) => one.startsWith(`${rule} `));
  return { recording, news: (outcome) => accused(outcome).filter((one) => !known.has(one) && !isAllowed(one)) };
}

/** A cheap hash: whether the n-th event of a run with this seed stays at this rate. */
function isKept(seed: number, rate: number) {
  return (index: number) => {
    let hash = Math.imul(index + 1, 0x9e3779b1) ^ Math.imul(seed + 1, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    hash ^= hash >>> 13;
    return (hash >>> 0) / 2 ** 32 >= rate;
  };
}

const cpu = fc.constantFrom(null, 0, 1);
export const share = fc.double({ min: 0, max: 1, noNaN: true });

export const dropPlans: fc.Arbitrary<DropPlan> = fc.oneof(
  fc
    .record({ seed: fc.nat(), rate: fc.double({ min: 0.005, max: 0.6, noNaN: true }), cpu })
    .map(({ seed, rate, cpu: on }) => ({ kind: "random" as const, keep: isKept(seed, rate), cpu: on })),
  fc.record({ a: share, b: share, cpu }).map(({ a, b, cpu: on }) => ({
    kind: "window" as const,
    from: Math.min(a, b),
    to: Math.max(a, b),
    cpu: on,
  })),
  share.map((to) => ({ kind: "start" as const, to })),
  share.map((from) => ({ kind: "end" as const, from })),
);
