/** What was seen of each class and what was not, where events are missing, and what to record next. */

import type { CoverageView } from "../../store/audit-view.js";
import type { AuditBrowser } from "../../store/browse/audit-browser.js";
import type { CpuRow, LossRow } from "../../store/browse/recording.js";
import { drawLane } from "../drawing/lane.js";
import {
  beside,
  framed,
  inColumns,
  type Line,
  line,
  type Meaning,
  onGround,
  plain,
  type Size,
  span,
  wrapped,
} from "../drawing/picture.js";
import { type ListState, moveList, place, START, select } from "../list.js";
import type { View, Wish } from "../screen-type.js";
import { axisLabels } from "../times.js";
import { adviceFor } from "./advice.js";

const SIDE_BY_SIDE = 110;
const MOST_LOSSES = 2000;
const STATES: Record<string, { mark: string; as: Meaning }> = {
  complete: { mark: "●", as: "good" },
  partial: { mark: "◐", as: "warning" },
  blind: { mark: "○", as: "error" },
  absent: { mark: "·", as: "faint" },
};
const ORDER = ["blind", "partial", "complete", "absent"];

export class CoverageScreen implements View {
  readonly name = "coverage";
  readonly title = "Coverage";
  readonly #audit: AuditBrowser;
  #classes: CoverageView[] = [];
  #cpus: CpuRow[] = [];
  #losses: LossRow[] = [];
  #list: ListState = START;

  constructor(audit: AuditBrowser) {
    this.#audit = audit;
    this.refresh();
  }

  refresh(): void {
    this.#classes = this.#audit.view
      .coverage()
      .sort(
        (a, b) =>
          ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || b.effects - a.effects || (a.class < b.class ? -1 : 1),
      );
    this.#cpus = this.#audit.recording.cpus();
    const { from, to } = this.#audit.recording.span();
    this.#losses = this.#audit.recording.losses(from, to, MOST_LOSSES);
  }

  draw(size: Size): Line[] {
    this.#list = select(this.#list, this.#list.selected, this.#classes.length, this.#rows(size));
    const { list, detail, cpus } = areasOf(size, this.#cpus.length);
    const lists = framed(
      {
        title: line(span("Coverage ", "accent"), span(place(this.#list, this.#classes.length), "faint")),
        note: line(span(this.#counts(), "faint")),
        isFocused: true,
      },
      this.#listLines(list),
      list,
    );
    const details = framed(
      { title: line(span("Why, and what to do", "accent")) },
      this.#detailLines(detail.columns - 4),
      detail,
    );
    const lanes = framed({ title: line(span("CPUs", "accent")), note: this.#lossWords() }, this.#cpuLines(cpus), cpus);
    if (list.columns === size.columns) return [...lists, ...details, ...lanes];
    return [...beside({ lines: lists, columns: list.columns }, { lines: details, columns: detail.columns }), ...lanes];
  }

  handle(command: string, size: Size): Wish | null {
    if (command === "page" || command === "copy") {
      const text = `${plain(this.#classes.flatMap((entry) => [...classLines(entry, 100), []]))}\n`;
      return command === "copy" ? { kind: "copy", text, what: "the coverage" } : { kind: "show", text, with: "pager" };
    }
    this.#list = moveList(this.#list, command, this.#classes.length, this.#rows(size));
    return null;
  }

  click(at: { column: number; row: number }, size: Size): Wish | null {
    const { list } = areasOf(size, this.#cpus.length);
    if (at.column < list.columns && at.row >= 2 && at.row < list.rows - 1) {
      this.#list = select(this.#list, this.#list.top + at.row - 2, this.#classes.length, this.#rows(size));
    }
    return null;
  }

  #rows(size: Size): number {
    return Math.max(1, areasOf(size, this.#cpus.length).list.rows - 3);
  }

  #counts(): string {
    return ORDER.flatMap((state) => {
      const count = this.#classes.filter((entry) => entry.state === state).length;
      return count === 0 ? [] : [`${count} ${state}`];
    }).join(" · ");
  }

  #listLines({ columns, rows }: Size): Line[] {
    const inner = columns - 2;
    const name = Math.min(30, Math.max(10, ...this.#classes.map((entry) => entry.class.length)));
    const head = line(span(`   ${"class".padEnd(name)}  state     operations  why`, "faint"));
    const shown = this.#classes.slice(this.#list.top, this.#list.top + rows - 3);
    return [
      head,
      ...shown.map((entry, row) => {
        const { mark, as } = STATES[entry.state] ?? { mark: "?", as: "text" };
        const content = inColumns(
          line(
            span(` ${mark} `, as),
            span(entry.class.padEnd(name), entry.judged ? "text" : "faint"),
            span(`  ${entry.state.padEnd(9)}`, as),
            span(`${entry.effects.toLocaleString("en").padStart(10)}  `),
            span(entry.judged ? (entry.reasons[0]?.text ?? "") : entry.state === "absent" ? "" : "not judged", "faint"),
          ),
          inner,
        );
        return this.#list.top + row === this.#list.selected ? onGround("selected", content) : content;
      }),
    ];
  }

  #detailLines(columns: number): Line[] {
    const entry = this.#classes[this.#list.selected];
    return entry ? classLines(entry, columns).map((content) => [span(" "), ...content]) : [];
  }

  #lossWords(): Line {
    const sources = this.#audit.view.sources();
    const places = sources.reduce((sum, { lost }) => sum + lost.places, 0);
    const known = sources.reduce((sum, { lost }) => sum + lost.known, 0);
    if (places === 0) return line(span("no loss is declared", "good"));
    return line(span(`${known > 0 ? known.toLocaleString("en") : "some"} events lost in ${places} places`, "lost"));
  }

  #cpuLines({ columns, rows }: Size): Line[] {
    const whole = this.#audit.recording.span();
    const room = columns - 2 - 24;
    const axis = line(span(`${" ".repeat(9)}${axisLabels(whole.from, whole.to, room)}`, "faint"));
    const lanes = this.#cpus.slice(0, Math.max(0, rows - 3)).map(({ cpu, first_ns, last_ns }) => {
      const losses = this.#losses.filter((loss) => loss.cpu === null || loss.cpu === cpu);
      const bars = [
        { from: first_ns, to: last_ns, as: "accent", weight: "thin" } as const,
        ...losses.map((loss) => ({ from: loss.from_ns, to: loss.to_ns, as: "lost", weight: "loss" }) as const),
      ];
      const lost = losses.length === 0 ? span("") : span(` ${losses.length} losses`, "lost");
      return [span(` CPU ${String(cpu).padStart(3)} `, "label"), ...inColumns(drawLane(bars, whole, room), room), lost];
    });
    const more = this.#cpus.length - lanes.length;
    return [axis, ...(more > 0 ? [...lanes.slice(0, -1), line(span(` … ${more + 1} more CPUs`, "faint"))] : lanes)];
  }
}

function areasOf({ columns, rows }: Size, cpus: number): { list: Size; detail: Size; cpus: Size } {
  const lower = Math.max(4, Math.min(cpus + 3, Math.floor(rows * 0.3)));
  const upper = rows - lower;
  if (columns >= SIDE_BY_SIDE) {
    const left = Math.floor(columns * 0.5);
    return {
      list: { columns: left, rows: upper },
      detail: { columns: columns - left, rows: upper },
      cpus: { columns, rows: lower },
    };
  }
  const half = Math.ceil(upper / 2);
  return { list: { columns, rows: half }, detail: { columns, rows: upper - half }, cpus: { columns, rows: lower } };
}

function classLines(entry: CoverageView, columns: number): Line[] {
  const { as } = STATES[entry.state] ?? { as: "text" as const };
  const operations = `${entry.effects.toLocaleString("en")} operations seen${entry.judged ? "" : ", not judged"}`;
  const advice = [...new Set(entry.reasons.map(({ code }) => adviceFor(code)))].filter((text) => text !== null);
  return [
    line(span(entry.class, "strong"), span(`  ${entry.state}`, as), span(`  ${operations}`, "faint")),
    ...wrapped(entry.title, columns, "faint"),
    [],
    ...entry.reasons.flatMap(({ text }) =>
      wrapped(text, columns - 2).map((content, row) => [span(row === 0 ? "· " : "  ", as), ...content]),
    ),
    ...(entry.reasons.length === 0
      ? [
          line(
            span(
              entry.state === "complete"
                ? "everything that happened to it was seen"
                : "nothing in the recording touches it",
              "faint",
            ),
          ),
        ]
      : []),
    ...(advice.length > 0 ? [[], line(span("to see more", "label"))] : []),
    ...advice.flatMap((text) =>
      wrapped(text, columns - 2).map((content, row) => [span(row === 0 ? "→ " : "  ", "label"), ...content]),
    ),
  ];
}
