/** SARIF 2.1.0 (OASIS), as far as code scanning services take it. The trace is the artifact: there is no source file. */
import { isAbsolute } from "node:path";
import { pathToFileURL } from "node:url";
import type { Location, Log, ReportingDescriptor, Result, ThreadFlowLocation } from "sarif";
import { RULES } from "../rules/index.js";
import type { AuditView, EvidenceView, FindingView } from "../store/audit-view.js";
import { seconds } from "./text.js";

export function sarifReport(audit: AuditView): string {
  const sources = audit.sources();
  const uri = uriOf(sources[0]?.path ?? "-");
  const findings = audit.findings();
  const log: Log = {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [
      {
        tool: {
          driver: { name: "ktally", semanticVersion: audit.meta("version") ?? "0.0.0", rules: RULES.map(ruleOf) },
        },
        columnKind: "utf16CodeUnits",
        artifacts: sources.map(({ path }) => ({ location: { uri: uriOf(path) } })),
        results: findings.map((finding) => resultOf(finding, findings, uri)),
      },
    ],
  };
  return `${JSON.stringify(log, null, 2)}\n`;
}

function ruleOf({ meta }: (typeof RULES)[number]): ReportingDescriptor {
  const text = meta.page.trim();
  return {
    id: meta.id,
    name: meta.id,
    shortDescription: { text: meta.title },
    fullDescription: { text: text.slice(0, 1000) },
    help: { text },
    defaultConfiguration: { level: "error" },
    properties: { tags: ["kernel", "lifecycle"] },
  };
}

function resultOf(finding: FindingView, findings: readonly FindingView[], uri: string): Result {
  const root = findings.find(({ id }) => id === finding.consequence_of);
  const parts = [
    `${finding.title}. ${finding.explanation}`,
    `Expected: ${finding.expected}.`,
    `Sure: ${finding.sure}.`,
  ];
  if (finding.lowered_by.length > 0) parts.push(`But: ${finding.lowered_by.map(({ text }) => text).join("; ")}.`);
  if (finding.fixed_by !== null) parts.push(`Fixed before by ${finding.fixed_by}.`);
  return {
    ruleId: finding.rule,
    ruleIndex: RULES.findIndex(({ meta }) => meta.id === finding.rule),
    level: levelOf(finding),
    message: { text: parts.join(" ") },
    locations: [locationOf(uri, finding.culprit, null)],
    partialFingerprints: { "ktally/v1": finding.fingerprint },
    codeFlows: [{ threadFlows: [{ locations: finding.evidence.map((event) => stepOf(event, uri)) }] }],
    ...(finding.suppressed_by === null
      ? {}
      : { suppressions: [{ kind: "external" as const, justification: finding.suppressed_by }] }),
    properties: {
      verdict: finding.verdict,
      variant: finding.variant,
      class: finding.class,
      object: finding.label,
      ...(root ? { consequence_of: root.fingerprint } : {}),
    },
  };
}

function levelOf({ level, verdict }: FindingView): Result.level {
  if (level === "note") return "note";
  return verdict === "suspected" ? "warning" : "error";
}

function stepOf(event: EvidenceView, uri: string): ThreadFlowLocation {
  const task = `${event.comm === "" ? "?" : event.comm} ${event.tid}`;
  const text = `${seconds(event.time_ns)} ${task}: ${event.call}${event.note === "" ? "" : ` - ${event.note}`}`;
  return { location: locationOf(uri, event.function, text) };
}

/** Every location has a physical one: services refuse those that have none. */
function locationOf(uri: string, name: string, text: string | null): Location {
  return {
    physicalLocation: { artifactLocation: { uri }, region: { startLine: 1 } },
    logicalLocations: [{ name, kind: "function" }],
    ...(text === null ? {} : { message: { text } }),
  };
}

function uriOf(path: string): string {
  if (path === "-") return "stdin";
  if (isAbsolute(path)) return pathToFileURL(path).href;
  return path.split("/").map(encodeURIComponent).join("/");
}
