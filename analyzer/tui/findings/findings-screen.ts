/** The findings, and beside the list the story of the one that is selected. */
import { findingJson } from "../../report/json.js";
import { findingText } from "../../report/text.js";
import type { AuditBrowser } from "../../store/browse/audit-browser.js";
import type { ListedFinding } from "../../store/browse/findings.js";
import {
  beside,
  framed,
  inColumns,
  type Line,
  line,
  type Meaning,
  onGround,
  type Size,
  span,
} from "../drawing/picture.js";
import { place, select } from "../list.js";
import type { View, Wish } from "../screen-type.js";
import {
  type FindingRow,
  type FindingsState,
  reduceFindings,
  rowsOf,
  startFindings,
  withFilter,
  withHeads,
} from "./findings-state.js";
import { gravityMeaning, type Story, storyLines } from "./story.js";

/** From here on the story stands beside the list, not below it. */
const SIDE_BY_SIDE = 130;

export class FindingsScreen implements View {
  readonly name = "findings";
  readonly title = "Findings";
  readonly #audit: AuditBrowser;
  readonly #openObject: (head: ListedFinding) => Wish;
  #state: FindingsState;
  #story: { id: number; story: Story } | null = null;

  /** `openObject` shows what a finding is about. */
  constructor(audit: AuditBrowser, openObject: (head: ListedFinding) => Wish) {
    this.#audit = audit;
    this.#openObject = openObject;
    this.#state = startFindings(audit.findings.heads());
  }

  draw(size: Size): Line[] {
    const count = rowsOf(this.#state).length;
    const inView = select(this.#state.list, this.#state.list.selected, count, listRows(size, count));
    this.#state = { ...this.#state, list: inView };
    const { list, story } = areasOf(size, count);
    const lists = framed(this.#frame(), this.#listLines(list), list);
    const stories = framed({ title: line(span("Story", "accent")) }, this.#storyLines(story), story);
    if (list.columns === size.columns) return [...lists, ...stories];
    return beside({ lines: lists, columns: list.columns }, { lines: stories, columns: story.columns });
  }

  handle(command: string, size: Size): Wish | null {
    const rows = listRows(size, rowsOf(this.#state).length);
    switch (command) {
      case "filter":
        return {
          kind: "ask",
          label: "filter",
          text: this.#state.filter,
          changed: (text) => {
            this.#state = withFilter(this.#state, text, rows);
          },
          done: () => null,
        };
      case "open": {
        const head = this.#selected()?.head;
        return head ? this.#openObject(head) : null;
      }
      case "copy":
      case "copy-json":
      case "page":
      case "edit":
        return this.#handOut(command);
      default:
        this.#state = reduceFindings(this.#state, command, rows);
        return null;
    }
  }

  click(at: { column: number; row: number }, size: Size): Wish | null {
    const { list } = areasOf(size, rowsOf(this.#state).length);
    const index = this.#state.list.top + at.row - 2;
    if (at.column < list.columns && at.row >= 2 && at.row < list.rows - 1 && index < rowsOf(this.#state).length) {
      this.#state = { ...this.#state, list: { ...this.#state.list, selected: index }, storyTop: 0 };
    }
    return null;
  }

  refresh(): void {
    this.#state = withHeads(this.#state, this.#audit.findings.heads(), Number.MAX_SAFE_INTEGER);
    this.#story = null;
  }

  #selected(): FindingRow | undefined {
    return rowsOf(this.#state)[this.#state.list.selected];
  }

  #frame() {
    const { sort, reversed, filter, grouped, list } = this.#state;
    const rows = rowsOf(this.#state);
    const words = [`by ${sort}${reversed ? " ↑" : ""}`, grouped ? "grouped" : "each on its own"];
    return {
      title: [
        span("Findings", "accent"),
        ...(filter === "" ? [] : line(span(" /", "faint"), span(filter, "match"))),
        span(` ${place(list, rows.length)}`, "faint"),
      ],
      note: line(span(words.join(" · "), "faint")),
      isFocused: true,
    };
  }

  #listLines(size: Size): Line[] {
    const rows = rowsOf(this.#state);
    const inner = size.columns - 2;
    if (rows.length === 0) return [line(span(` ${this.#emptyWords()}`, "faint"))];
    const columns = columnsFor(inner, rows);
    const { top, selected } = this.#state.list;
    const shown = rows.slice(top, top + Math.max(0, size.rows - 3));
    return [
      headLine(columns, this.#state),
      ...shown.map((row, index) => {
        const content = inColumns(rowLine(row, columns, this.#state.unfolded.has(row.head.id)), inner);
        return top + index === selected ? onGround("selected", content) : content;
      }),
    ];
  }

  #emptyWords(): string {
    if (this.#state.filter !== "") return "nothing has these words; esc gives up the filter";
    const judged = this.#audit.view.coverage().filter((entry) => entry.judged && entry.effects > 0);
    const isWhole = judged.every((entry) => entry.state === "complete");
    if (judged.length === 0) return "Nothing was judged: no event shows an object of any class.";
    return isWhole ? "No bug found." : "No bug found in what was seen; Coverage says what was not.";
  }

  #storyOf(head: ListedFinding): Story | null {
    if (this.#story?.id !== head.id) {
      const { view } = this.#audit;
      const finding = view.finding(head.id);
      if (finding === null) return null;
      const coverage = view.coverage().find((entry) => entry.class === finding.class) ?? null;
      this.#story = { id: head.id, story: { finding, consequences: view.consequences(head.id), coverage } };
    }
    return this.#story.story;
  }

  #storyLines({ columns, rows }: Size): Line[] {
    const head = this.#selected()?.head;
    const story = head ? this.#storyOf(head) : null;
    if (story === null) return [];
    const lines = storyLines(story, columns - 4).map((content) => [span(" "), ...content]);
    const most = Math.max(0, lines.length - (rows - 2));
    if (this.#state.storyTop > most) this.#state = { ...this.#state, storyTop: most };
    const { storyTop } = this.#state;
    const shown = lines.slice(storyTop, storyTop + rows - 2);
    const below = lines.length - storyTop - shown.length;
    return below > 0 ? [...shown.slice(0, -1), line(span(` ⋮ ${below + 1} more lines: J scrolls`, "faint"))] : shown;
  }

  #handOut(command: "copy" | "copy-json" | "page" | "edit"): Wish | null {
    const head = this.#selected()?.head;
    const story = head ? this.#storyOf(head) : null;
    if (story === null) return null;
    if (command === "copy-json") {
      return {
        kind: "copy",
        text: `${JSON.stringify(findingJson(story.finding), null, 2)}\n`,
        what: "the finding as JSON",
      };
    }
    const text = findingText(story.finding, story.consequences, story.coverage === null ? [] : [story.coverage]);
    if (command === "copy") return { kind: "copy", text, what: "the finding as text" };
    return { kind: "show", text, with: command === "page" ? "pager" : "editor" };
  }
}

function areasOf({ columns, rows }: Size, count: number): { list: Size; story: Size } {
  if (columns >= SIDE_BY_SIDE) {
    const left = Math.floor(columns * 0.48);
    return { list: { columns: left, rows }, story: { columns: columns - left, rows } };
  }
  // A short list leaves its room to the story.
  const upper = Math.max(5, Math.min(count + 3, Math.floor(rows * 0.45)));
  return { list: { columns, rows: upper }, story: { columns, rows: rows - upper } };
}

/** Lines of the list without frame and head. */
function listRows(size: Size, count: number): number {
  return Math.max(1, areasOf(size, count).list.rows - 3);
}

interface Columns {
  verdict: number;
  rule: number;
  class: number;
  object: number;
  culprit: number;
  count: number;
}

/** The class goes first, the object names it, too; then the object yields. */
function columnsFor(width: number, rows: readonly FindingRow[]): Columns {
  const longest = (text: (row: FindingRow) => string, most: number) =>
    Math.min(
      most,
      rows.slice(0, 500).reduce((longer, row) => Math.max(longer, text(row).length), 7),
    );
  const columns: Columns = {
    verdict: 12,
    rule: longest((row) => row.head.rule, 20) + 1,
    class: longest((row) => row.head.class, 22) + 1,
    object: longest((row) => row.head.label, 60) + 1,
    culprit: longest((row) => row.head.culprit, 34) + 1,
    count: 6,
  };
  const spare = () => width - Object.values(columns).reduce((sum, part) => sum + part, 0);
  if (spare() < 0) columns.class = 0;
  if (spare() < 0) columns.object = Math.max(18, columns.object + spare());
  if (spare() < 0) columns.culprit = Math.max(12, columns.culprit + spare());
  if (spare() < 0) columns.rule = Math.max(8, columns.rule + spare());
  columns.object += Math.max(0, spare());
  return columns;
}

function headLine(columns: Columns, { sort, reversed }: FindingsState): Line {
  const head = (name: string, key: string, width: number) =>
    inColumns(
      line(span(name, key === sort ? "label" : "faint"), span(key === sort ? (reversed ? "▴" : "▾") : "", "label")),
      width,
    );
  return [
    ...head("  verdict", "gravity", columns.verdict),
    ...head("rule", "rule", columns.rule),
    ...(columns.class > 0 ? head("class", "class", columns.class) : []),
    ...head("object", "object", columns.object),
    ...head("culprit", "culprit", columns.culprit),
    ...head("count", "count", columns.count),
  ];
}

function rowLine({ head, role, count, hasMore }: FindingRow, columns: Columns, isUnfolded: boolean): Line {
  const verdict = gravityMeaning(head);
  const mark = role === "consequence" ? "  ↳ " : role === "same" ? "  = " : hasMore ? (isUnfolded ? "▾ " : "▸ ") : "● ";
  return [
    ...cell(`${mark}${head.level === "note" ? "note" : head.verdict}`, columns.verdict, verdict),
    ...cell(head.rule, columns.rule, role === "cause" ? "strong" : "text"),
    ...(columns.class > 0 ? cell(head.class, columns.class, "faint") : []),
    ...cell(head.label, columns.object),
    ...cell(head.culprit, columns.culprit, "label"),
    ...cell(count > 1 ? `×${count}` : "", columns.count, "strong"),
  ];
}

/** A cell and the space after it. */
function cell(text: string, width: number, as: Meaning = "text"): Line {
  return [...inColumns(line(span(text, as)), width - 1), span(" ")];
}
