/** JUnit XML, as CI systems read it: a suite per judged class, a test case per finding, one that passes where there is none. */
import type { AuditView, CoverageView, FindingView } from "../store/audit-view.js";
import { escapeMarkup } from "./markup.js";

export function junitReport(audit: AuditView): string {
  const findings = audit.findings().filter(({ level }) => level === "error");
  const suites = audit.coverage().filter((entry) => entry.judged || findings.some((one) => one.class === entry.class));
  const body = suites.map((entry) =>
    suite(
      entry,
      findings.filter((finding) => finding.class === entry.class),
    ),
  );
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="ktally">\n${body.join("")}</testsuites>\n`;
}

function suite(entry: CoverageView, findings: readonly FindingView[]): string {
  const failures = findings.filter((finding) => isFailure(finding)).length;
  const cases =
    findings.length > 0
      ? findings.map(testCase)
      : [`    <testcase${attributes({ classname: entry.class, name: `no finding (${entry.state})` })}/>\n`];
  const counts = { name: entry.class, tests: cases.length, failures, skipped: findings.length - failures };
  return `  <testsuite${attributes(counts)}>\n${cases.join("")}  </testsuite>\n`;
}

function testCase(finding: FindingView): string {
  const head = `    <testcase${attributes({ classname: finding.class, name: `${finding.rule}: ${finding.title}` })}>`;
  const story = finding.evidence.map(
    ({ time_ns, comm, tid, call, note }) => `${time_ns} ns  ${comm} ${tid}  ${call}  ${note}`,
  );
  const text = escapeMarkup([finding.explanation, ...story, `expected: ${finding.expected}`].join("\n"));
  const message = attributes({ message: finding.title, type: `${finding.rule} ${finding.verdict}` });
  const result = isFailure(finding)
    ? `<failure${message}>${text}</failure>`
    : `<skipped${attributes({ message: finding.suppressed_by === null ? "suspected only" : `suppressed by ${finding.suppressed_by}` })}/>`;
  return `${head}\n      ${result}\n    </testcase>\n`;
}

function isFailure({ verdict, suppressed_by }: FindingView): boolean {
  return verdict !== "suspected" && suppressed_by === null;
}

function attributes(values: Record<string, string | number>): string {
  return Object.entries(values)
    .map(([name, value]) => ` ${name}="${escapeMarkup(String(value))}"`)
    .join("");
}
