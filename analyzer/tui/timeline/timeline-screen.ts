/** The objects of a class as lanes over time. */
import type { AuditBrowser } from "../../store/browse/audit-browser.js";
import type { ClassCount, LifeRow } from "../../store/browse/objects.js";
import { type Bar, drawLane, type Window } from "../drawing/lane.js";
import { framed, inColumns, type Line, line, onGround, type Size, span } from "../drawing/picture.js";
import { place, select } from "../list.js";
import { ObjectScreen } from "../object/object-screen.js";
import type { View, Wish } from "../screen-type.js";
import { axisLabels } from "../times.js";
import { reduceTimeline, startTimeline, type TimelineFacts, type TimelineState } from "./timeline-state.js";

export class TimelineScreen implements View {
  readonly name = "timeline";
  readonly title = "Objects";
  readonly #audit: AuditBrowser;
  #classes: ClassCount[];
  #state: TimelineState;
  #whole: Window;
  #page: { chosen: number; from: number; rows: LifeRow[] } = { chosen: -1, from: 0, rows: [] };
  #accused: ReadonlySet<string>;

  constructor(audit: AuditBrowser) {
    this.#audit = audit;
    this.#classes = audit.objects.counts();
    this.#whole = audit.recording.span();
    this.#accused = accusedIn(audit);
    const busiest = this.#classes.findIndex((entry) => entry.class !== "module");
    this.#state = startTimeline(Math.max(0, busiest));
  }

  draw(size: Size): Line[] {
    const entry = this.#classes[this.#state.chosen];
    const rows = rowsIn(size);
    const { list, chosen } = this.#state;
    const inView = select(list, list.selected, this.#classes[chosen]?.count ?? 0, rows);
    this.#state = { ...this.#state, list: inView };
    const lives = this.#visible(rows);
    const window = this.#window(lives);
    const head = entry
      ? [
          span("Objects ", "accent"),
          span(entry.class, "strong"),
          span(` ${place(this.#state.list, entry.count)}`, "faint"),
        ]
      : line(span("Objects", "accent"));
    const label = Math.min(
      44,
      Math.max(12, ...lives.map((life) => nameOf(life).length + 4)),
      Math.floor(size.columns * 0.42),
    );
    const lane = Math.max(8, size.columns - 2 - label - 10);
    const axis = `${" ".repeat(label + 8)}${axisLabels(window.from, window.to, lane)}`;
    const body: Line[] = [
      this.#classLine(size.columns - 2),
      line(span(axis, "faint")),
      ...(entry
        ? lives.map((life, row) => this.#laneLine(life, row, { label, lane }, window))
        : [line(span(" no object was seen", "faint"))]),
    ];
    const note = line(span(this.#state.window === null ? "all that is shown" : "zoomed", "faint"));
    return framed({ title: head, note, isFocused: true }, body, size);
  }

  handle(command: string, size: Size): Wish | null {
    const selected = this.#selected();
    if (command === "open") {
      const object = selected ? this.#audit.objects.get(selected.id) : null;
      return object ? { kind: "open", view: new ObjectScreen(this.#audit, object) } : null;
    }
    this.#state = reduceTimeline(this.#state, command, this.#facts(size));
    return null;
  }

  click(at: { column: number; row: number }, size: Size): Wish | null {
    if (at.row < 3 || at.row >= size.rows - 1) return null;
    const { count, rows } = this.#facts(size);
    this.#state = { ...this.#state, list: select(this.#state.list, this.#state.list.top + at.row - 3, count, rows) };
    return null;
  }

  refresh(): void {
    const name = this.#classes[this.#state.chosen]?.class;
    this.#classes = this.#audit.objects.counts();
    this.#whole = this.#audit.recording.span();
    this.#accused = accusedIn(this.#audit);
    this.#page = { chosen: -1, from: 0, rows: [] };
    const chosen = this.#classes.findIndex((entry) => entry.class === name);
    this.#state = { ...this.#state, chosen: Math.max(0, chosen) };
  }

  #facts(size: Size): TimelineFacts {
    const rows = rowsIn(size);
    const life = this.#selected();
    return {
      classes: this.#classes.length,
      count: this.#classes[this.#state.chosen]?.count ?? 0,
      rows,
      whole: this.#whole,
      shown: this.#window(this.#visible(rows)),
      selected: life ? { from: life.from_ns, to: life.to_ns } : null,
    };
  }

  #life(index: number): LifeRow | undefined {
    const entry = this.#classes[this.#state.chosen];
    if (!entry || index < 0 || index >= entry.count) return undefined;
    const { chosen, from, rows } = this.#page;
    if (chosen !== this.#state.chosen || index < from || index >= from + rows.length) {
      const begin = Math.max(0, index - PAGE / 2);
      const read = this.#audit.objects.lives(entry.class, begin, PAGE, entry.count);
      this.#page = { chosen: this.#state.chosen, from: begin, rows: read };
    }
    return this.#page.rows[index - this.#page.from];
  }

  #selected(): LifeRow | undefined {
    return this.#life(this.#state.list.selected);
  }

  #visible(rows: number): LifeRow[] {
    const { top } = this.#state.list;
    return Array.from({ length: rows }, (_, row) => this.#life(top + row)).flatMap((life) => (life ? [life] : []));
  }

  /** What is drawn: the zoomed part, or all lives that are in view. */
  #window(lives: readonly LifeRow[]): Window {
    if (this.#state.window !== null) return this.#state.window;
    const [first] = lives;
    if (!first) return this.#whole;
    let { from_ns: from, to_ns: to } = first;
    for (const life of lives) {
      if (life.from_ns < from) from = life.from_ns;
      if (life.to_ns > to) to = life.to_ns;
    }
    return { from, to: to > from ? to : from + 1n };
  }

  #classLine(columns: number): Line {
    const words = this.#classes.map((entry, index) =>
      index === this.#state.chosen
        ? span(` ${entry.class} ${entry.count} `, "key")
        : span(` ${entry.class} ${entry.count} `, "faint"),
    );
    // The chosen one stays in view.
    let skip = 0;
    const widthTo = (end: number) => words.slice(skip, end + 1).reduce((sum, { text }) => sum + text.length, 0);
    while (skip < this.#state.chosen && widthTo(this.#state.chosen) > columns) skip++;
    return inColumns(words.slice(skip), columns);
  }

  #laneLine(life: LifeRow, row: number, width: { label: number; lane: number }, window: Window): Line {
    const isSelected = this.#state.list.top + row === this.#state.list.selected;
    const isAccused = this.#accused.has(keyOf(life));
    const as = isAccused
      ? "error"
      : life.state === "destroyed"
        ? "good"
        : life.state === "replaced"
          ? "warning"
          : "accent";
    const bar: Bar = {
      from: life.created_ns === null ? null : life.from_ns,
      to: life.state === "alive" ? null : life.to_ns,
      as,
      weight: "thick",
    };
    const content: Line = [
      span(isAccused ? " ● " : "   ", "error"),
      ...inColumns(line(nameOf(life)), width.label - 4),
      span(
        life.refs_last === null ? "       " : ` refs ${life.refs_last}`.padEnd(9).slice(0, 9),
        life.refs_last === 0 ? "faint" : "label",
      ),
      ...(life.refs_last === null ? [span("  ")] : []),
      ...drawLane([bar], window, width.lane),
    ];
    const filled = inColumns(content, width.label + width.lane + 9);
    return isSelected ? onGround("selected", filled) : filled;
  }
}

const PAGE = 256;

/** Lanes between the frame, the classes and the axis. */
function rowsIn(size: Size): number {
  return Math.max(1, size.rows - 4);
}

/** The class stands above the lanes already. */
function nameOf({ name, address, label, generation }: LifeRow): string {
  const short = name ?? (address === null ? label : `0x${address.toString(16)}`);
  return generation > 1 ? `${short} #${generation}` : short;
}

function keyOf({
  class: name,
  address,
  generation,
  label,
}: {
  class: string;
  address: bigint | null;
  generation: number;
  label: string;
}): string {
  return `${name}/${address ?? label}/${generation}`;
}

function accusedIn(audit: AuditBrowser): ReadonlySet<string> {
  return new Set(
    audit.findings
      .heads()
      .filter(({ level }) => level === "error")
      .map(keyOf),
  );
}
