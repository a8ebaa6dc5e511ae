/** The report for programs (design, section 9); its schema is audit.schema.json. */
import type { AuditView, FindingView, ObjectView, ReportView } from "../store/audit-view.js";
import type { FindingJson, ObjectJson, ReportJson } from "./json-model.js";

/** Yields the JSON piece by piece: a trace may hold more objects than one string can. */
export function* jsonReport(audit: AuditView): Generator<string> {
  const head = { schema: 1, version: audit.meta("version") ?? "", exit: Number(audit.meta("exit")) };
  yield `{\n  "schema": ${head.schema},\n  "version": ${JSON.stringify(head.version)},\n  "exit": ${head.exit},\n`;
  const sources = audit.sources().map(({ kernel: _kernel, clock: _clock, ...source }) => ({
    path: source.path,
    format: source.format,
    events: source.events,
    relevant: source.relevant,
    lost: source.lost,
    first_ns: nanoseconds(source.first_ns),
    last_ns: nanoseconds(source.last_ns),
    diagnostics: source.diagnostics,
  }));
  yield `  "sources": ${indented(sources)},\n  "findings": ${indented(audit.findings().map(findingJson))},\n  "objects": [`;
  const holders = audit.holders();
  let separator = "\n    ";
  for (const object of audit.objects()) {
    yield separator + JSON.stringify(objectJson(object, holders.get(object.id) ?? []));
    separator = ",\n    ";
  }
  const coverage = audit
    .coverage()
    .map(({ class: name, state, judged, reasons }) => ({ class: name, state, judged, reasons }));
  const reports = audit.reports().map(reportJson);
  yield `${separator.startsWith(",") ? "\n  " : ""}],\n  "coverage": ${indented(coverage)},\n  "reports": ${indented(reports)}\n}\n`;
}

/** One finding as `analyze --format json` prints it. */
export function findingJson(finding: FindingView): FindingJson {
  return {
    id: finding.id,
    rule: finding.rule,
    variant: finding.variant,
    level: finding.level as FindingJson["level"],
    verdict: finding.verdict as FindingJson["verdict"],
    lowered_by: finding.lowered_by,
    class: finding.class,
    object: {
      label: finding.label,
      address: address(finding.address),
      key: finding.key,
      generation: finding.generation,
    },
    consequence_of: finding.consequence_of,
    fingerprint: finding.fingerprint,
    title: finding.title,
    explanation: finding.explanation,
    expected: finding.expected,
    fixed_by: finding.fixed_by,
    suppressed_by: finding.suppressed_by,
    culprit: { function: finding.culprit, site: finding.culprit_site, stack: finding.culprit_stack },
    events: finding.evidence.map((event) => ({
      time_ns: String(event.time_ns),
      cpu: event.cpu,
      tid: event.tid,
      comm: event.comm,
      function: event.function,
      effect: event.effect,
      delta: event.delta,
      refs: event.refs,
      result: event.result,
      stack: event.stack,
    })),
  };
}

function objectJson(object: ObjectView, holders: string[]): ObjectJson {
  return {
    class: object.class,
    label: object.label,
    address: address(object.address),
    generation: object.generation,
    state: object.state as ObjectJson["state"],
    created_ns: nanoseconds(object.created_ns),
    destroyed_ns: nanoseconds(object.destroyed_ns),
    refs_last: object.refs_last,
    holders,
  };
}

function reportJson({ id: _id, ...report }: ReportView): ReportJson {
  return { ...report, time_ns: nanoseconds(report.time_ns), clock: report.clock as ReportJson["clock"] };
}

function nanoseconds(time: bigint | null): string | null {
  return time === null ? null : String(time);
}

function address(value: bigint | null): string | null {
  return value === null ? null : `0x${value.toString(16)}`;
}

function indented(value: unknown): string {
  return JSON.stringify(value, null, 2).replaceAll("\n", "\n  ");
}
