/**
 * Reports of the kernel's log as evidence (design, section 8): inside a finding's call one proves it; what no finding
 * explains yet is one of its own.
 */
import type { Catalog } from "../../collectors/catalog/catalog.js";
import { withoutCloneSuffix } from "../decode/interpret.js";
import type { AuditEvent } from "../decode/operation.js";
import type { KernelReport } from "../import/trace-event.js";
import { describeKey } from "./describe.js";
import { type Evidence, type Finding, RULE_IDS, type RuleId } from "./finding.js";
import { meaningOf, type ReportMeaning } from "./report-meaning.js";
import type { RuleContext } from "./rule.js";

/** A report and the event that stands for it in the audit. */
export interface Sighting {
  report: KernelReport;
  /** Of a log's report: made up of what it says. Time 0 where it says none. */
  event: AuditEvent;
  /** Recorded in the trace itself: time, task and CPU are the trace's. */
  inTrace: boolean;
}

export interface JudgedReport extends Sighting {
  meaning: ReportMeaning;
  /** The finding that it proves or makes. */
  finding: Finding | null;
}

/** A log beside a trace: clocks that start with the machine drift apart by less than this. */
const CLOCKS_APART_NS = 5_000_000_000n;
/** A report is printed while the call goes on; of an instruction, right behind it. */
const RIGHT_BEHIND_NS = 200_000_000n;

/**
 * Ties the reports to findings, which it strengthens, and adds those that only the reports show.
 * @returns all findings, and the reports with what they mean.
 */
export function judgeReports(
  found: readonly Finding[],
  sightings: readonly Sighting[],
  context: RuleContext,
  catalog: Catalog,
): { findings: Finding[]; reports: JudgedReport[] } {
  const findings = [...found];
  const reports: JudgedReport[] = [];
  for (const sighting of sightings) {
    const meaning = meaningOf(sighting.report, catalog);
    const judged: JudgedReport = { ...sighting, meaning, finding: null };
    // A log beside the trace says the same once more.
    const known = reports.find((other) => isSame(other.report, judged.report));
    judged.finding = known ? known.finding : (findings.find((finding) => isAbout(finding, judged)) ?? null);
    if (known === undefined && judged.finding) {
      strengthen(judged.finding, judged);
    } else if (known === undefined) {
      const own = ownFinding(judged, context);
      const before =
        own === null ? undefined : reports.find(({ finding }) => finding !== null && isAgain(finding, own));
      if (before?.finding && own) before.finding.evidence.push(...own.evidence);
      else if (own) findings.push(own);
      judged.finding = before?.finding ?? own;
    }
    reports.push(judged);
  }
  return { findings, reports };
}

/** The same report once more, of another task: one finding, several times. */
function isAgain(a: Finding, b: Finding): boolean {
  const sameObject = a.object.address === b.object.address && a.object.key === b.object.key;
  return a.rule === b.rule && a.class === b.class && a.culprit.function === b.culprit.function && sameObject;
}

function isSame(a: KernelReport, b: KernelReport): boolean {
  return a.kind === b.kind && a.title === b.title && a.tid === b.tid && a.at?.offset === b.at?.offset;
}

/** Whether the report is the kernel's own word on what the finding says. */
function isAbout(finding: Finding, judged: JudgedReport): boolean {
  const { meaning, report } = judged;
  if (finding.level === "note" && report.kind !== "hung-task" && report.kind !== "device-in-use") return false;
  if (meaning.class !== null && meaning.class !== finding.class && meaning.rule?.id !== finding.rule) return false;
  if (meaning.rule !== null && meaning.rule.id !== finding.rule) return false;
  if (finding.evidence.some((evidence) => isInsideCall(judged, evidence))) return true;
  // The caller warns of what a call inside it has just found.
  if (meaning.rule?.id !== finding.rule || meaning.class !== finding.class) return false;
  return finding.evidence.some(({ event }) => isRightBehind(judged, event));
}

function isRightBehind({ report, event, inTrace }: Sighting, seen: AuditEvent): boolean {
  if (report.tid === null || report.tid !== seen.tid) return false;
  if (inTrace) return event.time >= seen.time && event.time - seen.time <= RIGHT_BEHIND_NS;
  return report.clock !== "boot" || distance(event.time, seen.time) < CLOCKS_APART_NS;
}

/** Whether the report was printed by the task of an event, within its call. */
function isInsideCall({ report, event, inTrace }: Sighting, evidence: Evidence): boolean {
  const { operation } = evidence;
  const seen = evidence.event;
  if (report.tid === null || report.tid !== seen.tid) return false;
  const names = new Set((report.stack?.frames ?? []).flatMap(({ symbol }) => symbol ?? []).map(withoutCloneSuffix));
  if (report.at?.symbol) names.add(withoutCloneSuffix(report.at.symbol));
  const onStack =
    operation !== null && (names.has(operation.function) || names.has(operation.call?.function.name ?? ""));
  if (!inTrace) {
    return onStack && (report.clock !== "boot" || distance(event.time, seen.time) < CLOCKS_APART_NS);
  }
  const { call } = operation ?? { call: null };
  if (call) {
    return event.time >= call.entry.time && (call.returned === null || event.time <= call.returned.time);
  }
  return onStack && event.time >= seen.time && event.time - seen.time <= RIGHT_BEHIND_NS;
}

function strengthen(finding: Finding, { report, event }: Sighting): void {
  finding.evidence.push({ event, operation: null, note: report.title });
  finding.evidence.sort((a, b) => a.event.id - b.event.id);
  if (finding.verdict === "proven" || finding.level === "note") return;
  finding.verdict = "proven";
  finding.loweredBy = [];
  finding.sure = `the kernel reported it inside the call: ${report.title}`;
}

function ownFinding({ report, event, meaning }: JudgedReport, context: RuleContext): Finding | null {
  const { class: entry, rule } = meaning;
  if (entry === null || rule === null || !isRuleId(rule.id)) return null;
  const object = objectOf(report, entry.class, context);
  const label = report.subject ?? (object === null ? entry.title : `${entry.title} ${describeKey(object)}`);
  const task = report.comm === null ? "" : `${report.comm} (${report.tid})`;
  const what: Evidence[] = [{ event, operation: null, note: report.title }];
  const doubted = meaning.weight === "suspicion";
  return {
    rule: rule.id,
    variant: rule.variant,
    level: meaning.weight === "note" ? "note" : "error",
    verdict: doubted ? "suspected" : "proven",
    loweredBy: doubted ? [{ code: "log-only", text: meaning.doubt ?? "only the kernel's log tells", probe: null }] : [],
    class: entry,
    object: {
      label,
      address: typeof object === "bigint" ? object : null,
      key: report.subject ?? (typeof object === "string" ? object : null),
      generation: 1,
    },
    title: `${label}: ${titleOf(rule.id, meaning.function)}`,
    explanation: explanationOf(report, meaning, task),
    expected: "no such report",
    sure: doubted ? "the kernel's report, and where it was printed" : "the kernel itself checked it and says so",
    culprit: { function: meaning.function, context: task === "" ? null : `run by ${task}`, site: null, event },
    evidence: what,
    trigger: null,
    consequenceOf: null,
  };
}

function isRuleId(id: string): id is RuleId {
  return (RULE_IDS as readonly string[]).includes(id);
}

/** The object whose address the report names in its text or registers. */
function objectOf(report: KernelReport, name: string, context: RuleContext): bigint | string | null {
  const entry = context.world.classOf(name);
  if (!entry) return null;
  for (const address of [...report.addresses, ...report.registers.values()]) {
    if (context.world.objects.find(entry, address)) return address;
  }
  return null;
}

const SAYS: Partial<Record<RuleId, string>> = {
  "extra-put": "the kernel saw more references dropped than taken in",
  "use-after-release": "the kernel saw it used after it was gone in",
  "double-registration": "the kernel saw it registered twice in",
  "unmatched-unregister": "the kernel saw it removed from where it was not in",
  "stale-ops": "the kernel warns of what an owner before left behind in",
  leak: "the kernel found references or memory left in",
  "unregister-stuck": "the kernel reports a task that waits in",
};

function titleOf(rule: RuleId, name: string): string {
  return `${SAYS[rule] ?? `the kernel's report points to ${rule} in`} ${name}`;
}

function explanationOf(report: KernelReport, meaning: ReportMeaning, task: string): string {
  const who = task === "" ? "" : ` while ${task} ran`;
  const related = report.related
    .filter(({ what, stack }) => stack.frames.length > 0 && (what === "freed" || what === "allocated"))
    .map(({ what, tid, stack }) => {
      const by = stack.frames.find(({ module }) => module !== null)?.symbol;
      return by ? ` It was ${what} by ${by}()${tid === null ? "" : `, task ${tid}`}.` : "";
    });
  const work = report.work === null ? "" : ` The worker was running ${report.work}().`;
  const users = report.users.length === 0 ? "" : ` It is used by ${report.users.join(", ")}.`;
  const where = meaning.function === "an unknown function" ? "" : ` in ${meaning.function}()`;
  return `The kernel's log says "${report.title}"${where}${who}.${related.join("")}${work}${users}`;
}

function distance(a: bigint, b: bigint): bigint {
  return a < b ? b - a : a - b;
}
