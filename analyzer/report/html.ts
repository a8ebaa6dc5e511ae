/** The report as one page that stands alone: no script, no request, light or dark as the reader's system is. */
import type {
  AuditView,
  CoverageView,
  EvidenceView,
  FindingView,
  ReportView,
  SourceView,
} from "../store/audit-view.js";
import { counterPlot } from "./counter-plot.js";
import { STYLE } from "./html-style.js";
import { escapeMarkup } from "./markup.js";
import { seconds } from "./text.js";

/** Rows of one story; the rest is counted. */
const MOST_EVENTS = 200;

/** Yields the page piece by piece. */
export function* htmlReport(audit: AuditView): Generator<string> {
  const findings = audit.findings();
  const roots = findings.filter((finding) => finding.consequence_of === null && finding.suppressed_by === null);
  const suppressed = findings.filter((finding) => finding.suppressed_by !== null);
  yield `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeMarkup(headline(roots))} · ktally</title>
<style>${STYLE}</style>
</head>
<body>
<header><h1>${escapeMarkup(headline(roots))}</h1><p>${audit.sources().map(sourceLine).join("<br>")}</p></header>
<main>
`;
  for (const finding of roots) {
    yield findingSection(
      finding,
      findings.filter((other) => other.consequence_of === finding.id),
    );
  }
  if (suppressed.length > 0) yield suppressedSection(suppressed);
  yield logSection(audit.reports().filter((report) => report.finding === null));
  yield coverageSection(audit.coverage());
  yield `</main>\n<footer>ktally ${escapeMarkup(audit.meta("version") ?? "")}</footer>\n</body>\n</html>\n`;
}

function headline(roots: readonly FindingView[]): string {
  const errors = roots.filter(({ level }) => level === "error");
  const bugs = errors.filter(({ verdict }) => verdict !== "suspected").length;
  const counts = [
    [bugs, "bug"],
    [errors.length - bugs, "suspicion"],
    [roots.length - errors.length, "note"],
  ] as const;
  const parts = counts
    .filter(([count]) => count > 0)
    .map(([count, word]) => `${count} ${word}${count === 1 ? "" : "s"}`);
  return parts.length === 0 ? "No bug found in what was seen" : parts.join(", ");
}

function sourceLine(source: SourceView): string {
  const lost = source.lost.places === 0 ? "" : `, ${source.lost.known || "some"} lost in ${source.lost.places} places`;
  const kernel = source.kernel === null ? "" : `, Linux ${source.kernel}`;
  return escapeMarkup(
    `${source.path}: ${source.format}${kernel}, ${source.events} events, ${source.relevant} of them used${lost}`,
  );
}

function findingSection(finding: FindingView, consequences: readonly FindingView[]): string {
  const sure = finding.level === "note" ? "note" : finding.verdict;
  const facts: [string, string][] = [
    ["to blame", `${finding.culprit}${finding.culprit_context === null ? "" : `, ${finding.culprit_context}`}`],
    ["expected", finding.expected],
    ["sure", finding.sure],
    ...finding.lowered_by.map(({ text }): [string, string] => ["but", text]),
    ...(finding.fixed_by === null ? [] : [["fixed by", finding.fixed_by] as [string, string]]),
    ...consequences.map(({ title, rule, verdict }): [string, string] => ["so also", `${title} (${rule} · ${verdict})`]),
    ["id", `${finding.fingerprint} · ${finding.class} · ${finding.variant}`],
  ];
  return `<section class="finding">
<h2>${escapeMarkup(finding.title)} <span class="tag ${escapeMarkup(sure)}">${escapeMarkup(`${finding.rule} · ${sure}`)}</span></h2>
<p>${escapeMarkup(finding.explanation)}</p>
${counterPlot(finding.evidence)}
${storyTable(finding.evidence)}
<dl>${facts.map(([name, text]) => `<dt>${escapeMarkup(name)}</dt><dd>${escapeMarkup(text)}</dd>`).join("\n")}</dl>
${stackBlock(finding.culprit_stack)}
</section>
`;
}

function storyTable(events: readonly EvidenceView[]): string {
  if (events.length === 0) return "";
  const half = MOST_EVENTS / 2;
  const shown = events.length <= MOST_EVENTS ? events : [...events.slice(0, half), ...events.slice(-half)];
  const rows = shown.map(({ time_ns, comm, tid, call, note }) => {
    const cells = [seconds(time_ns), `${comm === "" ? "?" : comm} ${tid}`, call, note];
    return `<tr>${cells.map((cell) => `<td>${escapeMarkup(cell)}</td>`).join("")}</tr>`;
  });
  if (events.length > shown.length)
    rows.splice(half, 0, `<tr><td colspan="4">… ${events.length - shown.length} more</td></tr>`);
  return `<div class="wide"><table><thead><tr><th>seconds</th><th>task</th><th>call</th><th></th></tr></thead><tbody>
${rows.join("\n")}
</tbody></table></div>`;
}

function stackBlock(stack: readonly string[]): string {
  if (stack.length === 0) return "";
  return `<details><summary>stack</summary><pre>${stack.map(escapeMarkup).join("\n")}</pre></details>`;
}

function suppressedSection(findings: readonly FindingView[]): string {
  const items = findings.map(({ title, rule, verdict, suppressed_by }) =>
    escapeMarkup(`${title} (${rule} · ${verdict}), by ${suppressed_by}`),
  );
  return `<section><h2>Suppressed</h2><ul>${items.map((item) => `<li>${item}</li>`).join("")}</ul></section>\n`;
}

/** What the kernel reported that belongs to no finding. */
function logSection(reports: readonly ReportView[]): string {
  if (reports.length === 0) return "";
  const items = reports.map(({ title, line, function: name }) => escapeMarkup(`${title} (line ${line}, in ${name})`));
  return `<section><h2>The kernel's log also says</h2><ul>${items.map((item) => `<li>${item}</li>`).join("")}</ul></section>\n`;
}

function coverageSection(coverage: readonly CoverageView[]): string {
  const rows = coverage
    .filter(({ state }) => state !== "absent")
    .map(
      ({ class: name, state, effects, judged, reasons }) =>
        `<tr><td>${escapeMarkup(name)}</td><td class="state ${escapeMarkup(state)}">${escapeMarkup(state)}${judged ? "" : ", not judged"}</td><td>${effects}</td><td>${reasons.map(({ text }) => escapeMarkup(text)).join("<br>")}</td></tr>`,
    );
  const absent = coverage.filter(({ state }) => state === "absent").map((entry) => entry.class);
  return `<section><h2>What was seen</h2>
<div class="wide"><table><thead><tr><th>class</th><th></th><th>operations</th><th>what was not seen</th></tr></thead><tbody>
${rows.join("\n")}
</tbody></table></div>
${absent.length === 0 ? "" : `<p>not judged: ${escapeMarkup(absent.join(", "))}</p>`}
</section>
`;
}
