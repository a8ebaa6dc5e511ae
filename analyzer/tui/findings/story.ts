/** A finding told in lines: what happened, what is to blame, how sure that is. */
import { seconds } from "../../report/text.js";
import type { CoverageView, EvidenceView, FindingView } from "../../store/audit-view.js";
import { type Line, labelled, line, type Meaning, span, wrapped } from "../drawing/picture.js";

const LABEL = 10;

export interface Story {
  finding: FindingView;
  consequences: readonly FindingView[];
  coverage: CoverageView | null;
}

export function storyLines({ finding, consequences, coverage }: Story, columns: number): Line[] {
  const verdict = gravityMeaning(finding);
  const blame = finding.culprit_context === null ? finding.culprit : `${finding.culprit}, ${finding.culprit_context}`;
  const field = (label: string, text: string, as: Meaning = "text") => labelled(label, LABEL, text, columns, as);
  return [
    ...wrapped(finding.title, columns, "strong"),
    line(span(`${finding.rule} · ${finding.level === "note" ? "note" : finding.verdict}`, verdict)),
    [],
    ...wrapped(finding.explanation, columns),
    [],
    ...eventLines(finding, consequences, columns),
    [],
    ...field("to blame", blame, "strong"),
    ...finding.culprit_stack.flatMap((frame) => field("", `← ${frame}`, "faint")),
    ...field("expected", finding.expected),
    ...field("sure", finding.sure),
    ...finding.lowered_by.flatMap((reason) => field("but", reason.text, "warning")),
    ...(finding.fixed_by === null ? [] : field("fixed by", finding.fixed_by)),
    ...(coverage === null ? [] : field("seen", seen(coverage), coverage.state === "complete" ? "good" : "warning")),
    ...consequences.flatMap((also) => field("so also", `${also.title} (${also.rule} · ${also.verdict})`)),
    ...field("id", `${finding.fingerprint} · ${finding.class} · ${finding.variant}`, "faint"),
  ];
}

export function gravityMeaning({ level, verdict }: { level: string; verdict: string }): Meaning {
  if (level === "note") return "note";
  return verdict === "suspected" ? "warning" : "error";
}

function seen({ class: name, state, reasons }: CoverageView): string {
  return `${name} ${state}${reasons[0] === undefined ? "" : ` (${reasons[0].text})`}`;
}

/** The events of a finding and its consequences in order of time, each once. */
function eventLines(finding: FindingView, consequences: readonly FindingView[], columns: number): Line[] {
  const events = new Map<number, { event: EvidenceView; isConsequence: boolean }>();
  for (const event of finding.evidence) events.set(event.event, { event, isConsequence: false });
  for (const event of consequences.flatMap(({ evidence }) => evidence)) {
    if (!events.has(event.event)) events.set(event.event, { event, isConsequence: true });
  }
  const story = [...events.values()].sort((a, b) => a.event.event - b.event.event);
  const wide = {
    time: Math.max(0, ...story.map(({ event }) => seconds(event.time_ns).length)),
    task: Math.max(0, ...story.map(({ event }) => taskOf(event).length)),
    call: Math.max(0, ...story.map(({ event }) => event.call.length)),
  };
  const notes = story.map(({ event, isConsequence }) => (isConsequence ? `consequence: ${event.note}` : event.note));
  const isOneLine = wide.time + wide.task + wide.call + 6 + Math.max(0, ...notes.map((note) => note.length)) <= columns;
  return story.flatMap(({ event }, index) => {
    const note = notes[index] ?? "";
    const head = line(
      span(`${seconds(event.time_ns).padStart(wide.time)}  `, "faint"),
      `${taskOf(event).padEnd(wide.task)}  `,
      span(event.call.padEnd(isOneLine ? wide.call : 0), effectMeaning(event.delta)),
    );
    if (isOneLine) return [[...head, span(`  ${note}`, "faint")]];
    const indent = wide.time + 2;
    return [head, ...wrapped(note, columns - indent, "faint").map((rest) => [span(" ".repeat(indent)), ...rest])];
  });
}

export function taskOf({ comm, tid }: { comm: string; tid: number }): string {
  return `${comm === "" ? "?" : comm} ${tid}`;
}

export function effectMeaning(delta: number | null): Meaning {
  if (delta === null || delta === 0) return "text";
  return delta > 0 ? "get" : "put";
}
