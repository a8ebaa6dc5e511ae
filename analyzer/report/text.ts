/** The report for people: the story first, the ids after. */
import type {
  AuditView,
  CoverageView,
  EvidenceView,
  FindingView,
  ReasonView,
  ReportView,
  SourceView,
} from "../store/audit-view.js";
import { harmless } from "./harmless.js";
import { type Style, styleFor } from "./style.js";

export interface TextOptions {
  color: boolean;
  /** Columns of the terminal; null: do not wrap. */
  width: number | null;
}

/** Lines of one finding's story that are shown; the rest is in the database and in JSON. */
const STORY_LINES = 12;
const STACK_LINES = 8;
const MOST_REASONS = 5;
const MOST_REPORTS = 8;
const LABEL = 12;

export function textReport(audit: AuditView, options: TextOptions): string {
  const style = styleFor(options.color);
  const width = Math.max(60, Math.min(options.width ?? 100, 120));
  const all = audit.findings();
  const findings = all.filter((finding) => finding.suppressed_by === null);
  const suppressed = all.filter((finding) => finding.suppressed_by !== null);
  const roots = findings.filter((finding) => finding.consequence_of === null);
  const lines: string[] = [];
  const coverage = audit.coverage();
  const reports = audit.reports();
  for (const [index, root] of roots.entries()) {
    if (index > 0) lines.push("");
    const consequences = findings.filter((finding) => finding.consequence_of === root.id);
    lines.push(...findingLines(root, consequences, coverage, style, width, index === 0 ? headline(roots) : null));
    const own = reports.filter((report) => report.finding === root.id);
    if (own.length > 0) lines.push(...comparisonLines(own, style, width));
  }
  if (roots.length === 0) lines.push(...nothingFound(coverage, suppressed.length > 0, style));
  if (suppressed.length > 0) lines.push("", ...suppressedLines(suppressed, style, width));
  lines.push(...otherReports(reports, style, width));
  lines.push("", ...footer(audit.sources(), coverage, reports, style, width));
  return `${lines.join("\n")}\n`;
}

/** What else there is to say about what the kernel reported: bugs that looked like it, and how to see more. */
function comparisonLines(reports: readonly ReportView[], style: Style, width: number): string[] {
  const alike = [...new Set(reports.flatMap((report) => report.looks_like))];
  const learn = [...new Set(reports.flatMap((report) => report.learn ?? []))];
  return [
    ...alike.flatMap((bug) => labelled("looks like", bug, style, width)),
    ...learn.flatMap((command) => labelled("learn more", command, style, width)),
  ];
}

/** Reports that are no finding: nothing known is touched, or they say no more than that something is wrong. */
function otherReports(reports: readonly ReportView[], style: Style, width: number): string[] {
  const others = reports.filter((report) => report.finding === null);
  if (others.length === 0) return [];
  const lines = ["", style.strong(`the kernel's log also says`)];
  for (const report of others.slice(0, MOST_REPORTS)) {
    const where = report.class === null ? "" : `, ${report.class}${report.rule === null ? "" : `: ${report.rule}`}`;
    const text = `${harmless(report.title)} (line ${report.line}, in ${report.function}${where})`;
    for (const [index, line] of wrap(text, width - 4).entries()) lines.push(`${index === 0 ? "  · " : "    "}${line}`);
    lines.push(...comparisonLines([report], style, width).map((line) => `  ${line}`));
  }
  if (others.length > MOST_REPORTS) lines.push(style.faint(`  · ${others.length - MOST_REPORTS} more`));
  return lines;
}

/** One finding as the report tells it, without colour. */
export function findingText(
  finding: FindingView,
  consequences: readonly FindingView[],
  coverage: readonly CoverageView[],
): string {
  return `${findingLines(finding, consequences, coverage, styleFor(false), 100, null).join("\n")}\n`;
}

/** `1 bug`, `2 bugs, 1 suspicion`. */
function headline(roots: readonly FindingView[]): string {
  const errors = roots.filter((finding) => finding.level === "error");
  const bugs = errors.filter((finding) => finding.verdict !== "suspected").length;
  const suspicions = errors.length - bugs;
  const notes = roots.length - errors.length;
  const parts = [
    plural(bugs, "bug", "bugs"),
    plural(suspicions, "suspicion", "suspicions"),
    plural(notes, "note", "notes"),
  ];
  return parts.filter((part) => part !== null).join(", ");
}

function plural(count: number, one: string, many: string): string | null {
  if (count === 0) return null;
  return `${count} ${count === 1 ? one : many}`;
}

function findingLines(
  finding: FindingView,
  consequences: readonly FindingView[],
  coverage: readonly CoverageView[],
  style: Style,
  width: number,
  count: string | null,
): string[] {
  const tag = `${finding.rule} · ${finding.verdict}`;
  const title = harmless(finding.title);
  const lead = count === null ? "" : `${count}   `;
  const room = width - lead.length - tag.length - 3;
  const gap = " ".repeat(Math.max(3, room - title.length + 3));
  const lines = [`${style.strong(lead)}${style.strong(title)}${gap}${style.verdict(finding.verdict, tag)}`, ""];
  lines.push(...wrap(harmless(finding.explanation), width - 2).map((line) => `  ${line}`), "");
  lines.push(...storyLines(finding, consequences, style), "");
  const by = finding.culprit_context === null ? "" : `, ${harmless(finding.culprit_context)}`;
  lines.push(...labelled("to blame", `${finding.culprit}${by}`, style, width));
  for (const line of stackLines(finding.culprit_stack)) lines.push(`  ${" ".repeat(LABEL)}${style.faint(line)}`);
  lines.push(...labelled("expected", finding.expected, style, width));
  lines.push(...labelled("sure", finding.sure, style, width));
  for (const reason of finding.lowered_by) lines.push(...labelled("but", reason.text, style, width));
  if (finding.fixed_by !== null) lines.push(...labelled("fixed by", finding.fixed_by, style, width));
  lines.push(...labelled("seen", seen(coverage, finding.class), style, width));
  for (const consequence of consequences) {
    lines.push(
      ...labelled("so also", `${consequence.title} (${consequence.rule} · ${consequence.verdict})`, style, width),
    );
  }
  lines.push(...labelled("id", `${finding.fingerprint} · ${finding.class} · ${finding.variant}`, style, width));
  return lines;
}

/** The events of the finding and its consequences, in order of time; each event once. */
export function storyLines(finding: FindingView, consequences: readonly FindingView[], style: Style): string[] {
  const events = new Map<number, EvidenceView>();
  for (const event of finding.evidence) events.set(event.event, event);
  for (const event of consequences.flatMap((consequence) => consequence.evidence)) {
    if (!events.has(event.event)) events.set(event.event, event);
  }
  const consequenceEvents = new Set(
    consequences.flatMap((consequence) => consequence.evidence.slice(-1).map((event) => event.event)),
  );
  const story = [...events.values()].sort((a, b) => a.event - b.event);
  const shown =
    story.length <= STORY_LINES ? story : [...story.slice(0, STORY_LINES / 2), ...story.slice(-STORY_LINES / 2)];
  const rows = shown.map((event) => ({
    // A log without times.
    time: event.time_ns === 0n ? "" : seconds(event.time_ns),
    task: `${event.comm === "" ? "?" : harmless(event.comm)} ${event.tid}`,
    call: harmless(event.call),
    note: consequenceEvents.has(event.event)
      ? `consequence: ${event.note}`
      : event.call === event.note
        ? ""
        : event.note,
  }));
  const widths = {
    time: Math.max(...rows.map((row) => row.time.length)),
    task: Math.max(...rows.map((row) => row.task.length)),
    call: Math.min(72, Math.max(...rows.map((row) => row.call.length))),
  };
  const lines = rows.map(({ time, task, call, note }) =>
    note === ""
      ? `  ${time.padStart(widths.time)}  ${task.padEnd(widths.task)}  ${call}`
      : `  ${time.padStart(widths.time)}  ${task.padEnd(widths.task)}  ${call.padEnd(widths.call)}  ${style.faint(note)}`,
  );
  if (story.length > shown.length) {
    lines.splice(STORY_LINES / 2, 0, style.faint(`  … ${story.length - shown.length} more`));
  }
  return lines;
}

function stackLines(stack: readonly string[]): string[] {
  const lines = stack.slice(0, STACK_LINES).map((frame) => `← ${harmless(frame)}`);
  return stack.length > STACK_LINES ? [...lines, `… ${stack.length - STACK_LINES} more`] : lines;
}

function labelled(label: string, text: string, style: Style, width: number): string[] {
  const [first = "", ...rest] = wrap(harmless(text), width - LABEL - 2);
  return [`  ${style.label(label.padEnd(LABEL))}${first}`, ...rest.map((line) => `  ${" ".repeat(LABEL)}${line}`)];
}

/** How well the finding's class and the others were seen. */
function seen(coverage: readonly CoverageView[], of: string): string {
  const own = coverage.find((entry) => entry.class === of);
  const why = own?.reasons[0] === undefined ? "" : ` (${own.reasons[0].text})`;
  return own === undefined ? "" : `${own.class} ${own.state}${why}`;
}

/** What was found and does not count, by the pattern that the user gave, with how often it was used. */
function suppressedLines(findings: readonly FindingView[], style: Style, width: number): string[] {
  const reasons = [...new Set(findings.map((finding) => finding.suppressed_by ?? ""))];
  return [
    style.strong("suppressed"),
    ...reasons.flatMap((reason) => {
      const its = findings.filter((finding) => finding.suppressed_by === reason);
      const titles = its.map((finding) => `${finding.title} (${finding.rule} · ${finding.verdict})`);
      return [
        `${String(its.length).padStart(5)}  ${harmless(reason)}`,
        ...titles.flatMap((title) => wrap(harmless(title), width - 9).map((line) => `         ${style.faint(line)}`)),
      ];
    }),
  ];
}

function nothingFound(coverage: readonly CoverageView[], suppressed: boolean, style: Style): string[] {
  const judged = coverage.filter((entry) => entry.judged && entry.effects > 0 && entry.class !== "module");
  if (judged.length === 0) return [style.strong("Nothing was judged: no event shows an object of any class.")];
  const names = judged.map((entry) => entry.class).join(", ");
  const whole = judged.every((entry) => entry.state === "complete");
  const what = suppressed ? "No bug that is not suppressed was found in" : "No bug found in";
  return [style.strong(whole ? `${what} ${names}.` : `${what} what was seen of ${names}.`)];
}

/** Reasons in words; probes that never fired are named together. */
function reasonLines(reasons: readonly ReasonView[]): string[] {
  const silent = reasons.filter((reason) => reason.code === "probe-never-fired");
  const others = reasons.filter((reason) => reason.code !== "probe-never-fired").map((reason) => reason.text);
  if (silent.length === 0) return others;
  return [...others, `${silent.map((reason) => reason.probe ?? reason.text).join(", ")} never fired`];
}

function footer(
  sources: readonly SourceView[],
  coverage: readonly CoverageView[],
  reports: readonly ReportView[],
  style: Style,
  width: number,
): string[] {
  const lines = [style.strong("seen")];
  for (const entry of coverage.filter((candidate) => candidate.state !== "absent")) {
    const count = entry.effects === 0 ? "" : `, ${entry.effects} operations`;
    lines.push(`  ${entry.class.padEnd(18)} ${style.state(entry.state)}${count}${entry.judged ? "" : ", not judged"}`);
    const reasons = reasonLines(entry.reasons);
    for (const text of reasons.slice(0, MOST_REASONS)) {
      for (const [index, line] of wrap(harmless(text), width - 23).entries()) {
        lines.push(`${" ".repeat(19)}${index === 0 ? "· " : "  "}${style.faint(line)}`);
      }
    }
    if (reasons.length > MOST_REASONS) {
      lines.push(`${" ".repeat(19)}${style.faint(`· ${reasons.length - MOST_REASONS} more reasons`)}`);
    }
  }
  const absent = coverage.filter((entry) => entry.state === "absent").map((entry) => entry.class);
  if (absent.length > 0) {
    lines.push(...wrap(`not judged: ${absent.join(", ")}`, width - 2).map((line) => style.faint(`  ${line}`)));
  }
  for (const [index, source] of sources.entries()) {
    const own = reports.filter((report) => report.source === index);
    const lost =
      source.lost.places === 0 ? "" : `, ${source.lost.known || "some"} lost in ${source.lost.places} places`;
    const kernel = source.kernel === null ? "" : `, Linux ${harmless(source.kernel)}`;
    const said = plural(own.length, "report of the kernel", "reports of the kernel");
    const events = source.format.startsWith("kernel log")
      ? (said ?? "no report of the kernel")
      : `${source.events} events, ${source.relevant} of them used${lost}${said === null ? "" : `, ${said}`}`;
    lines.push(`  ${harmless(source.path)}: ${source.format}${kernel}, ${events}`);
    for (const { severity, offset, line, message } of source.diagnostics) {
      const where = line !== null ? ` line ${line}` : offset !== null ? ` byte ${offset}` : "";
      lines.push(`  ${style.faint(`${severity}${where}: ${harmless(message)}`)}`);
    }
  }
  return lines;
}

/** Seconds with microseconds, as ftrace prints them; the time is cut off, not rounded. */
export function seconds(time: bigint): string {
  const micros = time / 1000n;
  return `${micros / 1_000_000n}.${String(micros % 1_000_000n).padStart(6, "0")}`;
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  lines.push(line);
  return lines;
}
