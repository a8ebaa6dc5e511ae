/** One object: its counter over time, every event on it, and the stack of the selected one. */
import { seconds } from "../../report/text.js";
import type { AuditBrowser } from "../../store/browse/audit-browser.js";
import type { NoteRow } from "../../store/browse/findings.js";
import type { ObjectHead } from "../../store/browse/objects.js";
import type { OperationRow } from "../../store/browse/operations.js";
import type { LossRow } from "../../store/browse/recording.js";
import { BalanceScreen } from "../balance/balance-screen.js";
import type { Window } from "../drawing/lane.js";
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
} from "../drawing/picture.js";
import { effectMeaning, taskOf } from "../findings/story.js";
import { place } from "../list.js";
import type { View, Wish } from "../screen-type.js";
import { axisLabels, duration } from "../times.js";
import { earlier, later } from "../zoom.js";
import { type CounterPoint, counterPoints, drawCounter, netPoints } from "./counter-line.js";
import { jumpTo, nextPlace, type ObjectFacts, type ObjectState, reduceObject, startObject } from "./object-state.js";

/** From here on the stack stands beside the events. */
const SIDE_BY_SIDE = 130;
/** Steps that are drawn at most; the terminal has fewer columns than that. */
const MOST_STEPS = 4000;
const MOST_LOSSES = 2000;

export class ObjectScreen implements View {
  readonly name = "object";
  readonly title: string;
  readonly #audit: AuditBrowser;
  #object: ObjectHead;
  #state: ObjectState = startObject();
  #life: Window;
  #count: number;
  #notes: NoteRow[];
  #losses: LossRow[];
  #drawn: { window: Window; points: CounterPoint[]; isThinned: boolean; isNet: boolean; first: number | null } | null =
    null;
  #page: { from: number; rows: OperationRow[] } = { from: 0, rows: [] };

  /** `event`: the one to select. */
  constructor(audit: AuditBrowser, object: ObjectHead, event: number | null = null) {
    this.#audit = audit;
    this.#object = object;
    this.title = object.label;
    this.#life = lifeOf(audit, object);
    this.#count = audit.operations.count(object.id);
    this.#notes = audit.findings.notesOn(object);
    this.#losses = audit.recording.losses(this.#life.from, this.#life.to, MOST_LOSSES);
    if (event !== null) {
      const index = audit.operations.index(object.id, event);
      this.#state = jumpTo(this.#state, index, this.#facts({ columns: 80, rows: 24 }));
    }
  }

  draw(size: Size): Line[] {
    this.#state = jumpTo(this.#state, this.#state.list.selected, this.#facts(size));
    const { counter, events, stack } = this.#areas(size);
    const upper = framed(
      { title: line(span(this.title, "accent")), note: this.#summary(), isFocused: false },
      this.#counterLines({ columns: counter.columns - 2, rows: counter.rows - 2 }),
      counter,
    );
    const list = framed(
      {
        title: line(span("Events ", "accent"), span(place(this.#state.list, this.#count), "faint")),
        note: this.#listNote(),
        isFocused: true,
      },
      this.#eventLines({ columns: events.columns - 2, rows: events.rows - 2 }),
      events,
    );
    if (stack === null) return [...upper, ...list];
    const frames = framed({ title: line(span("Stack", "accent")) }, this.#stackLines(stack.columns - 4), stack);
    if (stack.columns === size.columns) return [...upper, ...list, ...frames];
    return [...upper, ...beside({ lines: list, columns: events.columns }, { lines: frames, columns: stack.columns })];
  }

  handle(command: string, size: Size): Wish | null {
    if (command === "balance") {
      return { kind: "open", view: new BalanceScreen(this.#audit, { id: this.#object.id, title: this.title }) };
    }
    if (command === "page" || command === "edit") {
      return { kind: "show", text: this.#asText(), with: command === "page" ? "pager" : "editor" };
    }
    if (command === "copy") return { kind: "copy", text: this.#asText(), what: "the object's events" };
    if (command === "culprit" || command === "loss" || command === "unpaired") {
      const index = nextPlace(this.#places(command), this.#state.list.selected);
      if (index === null) return { kind: "say", text: this.#nothingFor(command) };
      this.#state = jumpTo(this.#state, index, this.#facts(size));
      return null;
    }
    this.#state = reduceObject(this.#state, command, this.#facts(size));
    return null;
  }

  click(at: { column: number; row: number }, size: Size): Wish | null {
    const { counter, events } = this.#areas(size);
    const index = this.#state.list.top + at.row - counter.rows - 2;
    if (at.column < events.columns && at.row > counter.rows + 1 && at.row < counter.rows + events.rows - 1) {
      this.#state = jumpTo(this.#state, index, this.#facts(size));
    }
    return null;
  }

  refresh(): void {
    this.#object = this.#audit.objects.get(this.#object.id) ?? this.#object;
    const wasLast = this.#state.list.selected === this.#count - 1;
    this.#life = lifeOf(this.#audit, this.#object);
    this.#count = this.#audit.operations.count(this.#object.id);
    this.#notes = this.#audit.findings.notesOn(this.#object);
    this.#losses = this.#audit.recording.losses(this.#life.from, this.#life.to, MOST_LOSSES);
    this.#drawn = null;
    this.#page = { from: 0, rows: [] };
    // Who looks at the last event sees the next one come.
    if (wasLast)
      this.#state = { ...this.#state, list: { ...this.#state.list, selected: Math.max(0, this.#count - 1) } };
  }

  #areas(size: Size): { counter: Size; events: Size; stack: Size | null } {
    const { columns, rows } = size;
    const counter = { columns, rows: Math.max(8, Math.min(18, Math.floor(rows * 0.42))) };
    const rest = rows - counter.rows;
    if (columns >= SIDE_BY_SIDE) {
      const right = Math.min(64, Math.floor(columns * 0.32));
      return { counter, events: { columns: columns - right, rows: rest }, stack: { columns: right, rows: rest } };
    }
    if (!this.#state.isStackOpen) return { counter, events: { columns, rows: rest }, stack: null };
    const lower = Math.floor(rest / 2);
    return { counter, events: { columns, rows: rest - lower }, stack: { columns, rows: lower } };
  }

  #facts(size: Size): ObjectFacts {
    return {
      count: this.#count,
      rows: Math.max(1, this.#areas(size).events.rows - 3),
      life: this.#life,
      selected: this.#selected()?.time_ns ?? this.#life.from,
    };
  }

  /** An operation by its place; reads a page at a time. */
  #operation(index: number): OperationRow | undefined {
    if (index < 0 || index >= this.#count) return undefined;
    const { from, rows } = this.#page;
    if (index < from || index >= from + rows.length) {
      const begin = Math.max(0, index - PAGE / 2);
      this.#page = { from: begin, rows: this.#audit.operations.page(this.#object.id, begin, PAGE) };
    }
    return this.#page.rows[index - this.#page.from];
  }

  #selected(): OperationRow | undefined {
    return this.#operation(this.#state.list.selected);
  }

  /** Places of events to jump to. */
  #places(jump: string): number[] {
    const indexOf = (event: number) => this.#audit.operations.index(this.#object.id, event);
    if (jump === "culprit") {
      const culprits = this.#notes.filter(({ isCulprit }) => isCulprit);
      const events = (culprits.length > 0 ? culprits : this.#notes).map(({ event }) => event);
      return [...new Set(events.map(indexOf))].filter((index) => index < this.#count);
    }
    if (jump === "loss") {
      const ends = this.#losses.map(({ to_ns, from_ns }) => to_ns ?? from_ns ?? this.#life.from);
      const places = ends.map((time) => this.#audit.operations.indexAt(this.#object.id, time));
      return [...new Set(places)].map((index) => Math.min(index, this.#count - 1)).filter((index) => index >= 0);
    }
    const places = this.#audit.objects
      .heldSince(this.#object.id)
      .map((time) => this.#audit.operations.indexAt(this.#object.id, time));
    return [...new Set(places)].filter((index) => index < this.#count);
  }

  #nothingFor(jump: "culprit" | "loss" | "unpaired"): string {
    if (jump === "culprit") return "no finding rests on an event of this object";
    if (jump === "loss") return "no events were lost while it lived";
    const left = this.#object.refs_last ?? 0;
    if (left <= 0) return "every get that was seen has a put";
    return `every get that was seen has a put; ${left} ${left === 1 ? "is" : "are"} left of what was taken unseen or when it was made`;
  }

  #summary(): Line {
    const { generation, state, created_ns: created, destroyed_ns: destroyed, refs_last: refs, exact } = this.#object;
    const life = created !== null && destroyed !== null ? ` after ${duration(destroyed - created)}` : "";
    const words = [
      ...(generation > 1 ? [`life ${generation}`] : []),
      `${state}${life}`,
      ...(refs === null ? [] : [`refs ${refs}`]),
      ...(exact ? [] : ["seen with gaps"]),
    ];
    return line(span(words.join(" · "), exact ? "faint" : "warning"));
  }

  #listNote(): Line {
    const words = [
      ...(this.#notes.length > 0 ? ["c culprit"] : []),
      ...(this.#losses.length > 0 ? ["x loss"] : []),
      "u unpaired get",
    ];
    return line(span(words.join(" · "), "faint"));
  }

  #counterLines({ columns, rows }: Size): Line[] {
    const window = this.#state.window ?? this.#life;
    if (this.#drawn?.window.from !== window.from || this.#drawn.window.to !== window.to) {
      const { steps, isThinned } = this.#audit.operations.counterSteps(
        this.#object.id,
        window.from,
        window.to,
        MOST_STEPS,
      );
      const before = this.#audit.operations.counterBefore(this.#object.id, window.from);
      const all = [...before, ...steps];
      const first = all.find(({ refs }) => refs !== null)?.refs ?? null;
      const isNet = all.every(({ refs }) => refs === null);
      this.#drawn = { window, points: isNet ? netPoints(all) : counterPoints(all), isThinned, isNet, first };
    }
    const { points, isThinned, isNet, first } = this.#drawn;
    const picture = drawCounter(
      {
        points,
        losses: this.#losses,
        window,
        before: first,
        selected: this.#selected()?.time_ns ?? null,
        noted: this.#notes.map(({ time_ns }) => time_ns),
      },
      columns,
      rows - 1,
    );
    const words = [
      ...(isNet ? ["no value was read: gets less puts, as far as seen"] : []),
      ...(isThinned ? ["thinned out: zoom in for every step"] : []),
    ];
    const axis = axisLabels(window.from, window.to, columns - 2);
    return [
      ...picture,
      line(
        " ",
        span(
          words.length > 0 ? `${axis.slice(0, columns - 3 - words.join(" ").length)} ${words.join(" ")}` : axis,
          "faint",
        ),
      ),
    ];
  }

  #eventLines({ columns, rows }: Size): Line[] {
    const { top, selected } = this.#state.list;
    const notes = new Map(this.#notes.map((note) => [note.event, note]));
    const width = this.#widths(top, rows);
    const head = line(
      span(
        `   ${"time".padEnd(width.time)}  ${"since".padStart(8)}  cpu  ${"task".padEnd(width.task)}  ${"function".padEnd(width.call)}  effect      refs`,
        "faint",
      ),
    );
    const lines = Array.from({ length: Math.max(0, Math.min(rows - 1, this.#count - top)) }, (_, row) => {
      const index = top + row;
      const operation = this.#operation(index);
      if (!operation) return [];
      const content = this.#eventLine(operation, this.#operation(index - 1), notes.get(operation.event), width);
      return index === selected ? onGround("selected", inColumns(content, columns)) : content;
    });
    return [head, ...lines];
  }

  #widths(top: number, rows: number) {
    const page = Array.from({ length: Math.min(rows, this.#count - top) }, (_, row) => this.#operation(top + row));
    const longest = (text: (row: OperationRow) => string, least: number, most: number) =>
      page.reduce((width, row) => (row ? Math.max(width, Math.min(most, text(row).length)) : width), least);
    return {
      time: longest((row) => seconds(row.time_ns), 4, 20),
      task: longest(taskOf, 4, 18),
      call: longest((row) => row.function, 8, 34),
    };
  }

  #eventLine(
    row: OperationRow,
    before: OperationRow | undefined,
    note: NoteRow | undefined,
    width: { time: number; task: number; call: number },
  ): Line {
    const expected =
      before === undefined || before.refs === null
        ? null
        : before.refs + (before.outcome === "refused" ? 0 : before.delta);
    const isBreak = row.refs !== null && expected !== null && row.refs !== expected;
    const lost =
      before !== undefined &&
      this.#losses.some(
        (loss) => (loss.to_ns ?? row.time_ns) > before.time_ns && (loss.from_ns ?? before.time_ns) < row.time_ns,
      );
    const mark: [string, Meaning] = note
      ? [note.isCulprit ? "●" : "○", "error"]
      : isBreak
        ? ["?", "warning"]
        : lost
          ? ["░", "lost"]
          : [" ", "text"];
    const remarks = [
      ...(isBreak ? [`${expected} was expected: a change was not seen`] : []),
      ...(lost ? ["events were lost before this"] : []),
      ...(row.outcome === "done" || row.outcome === "" ? [] : [row.outcome]),
      ...(row.result === null || row.result === 0 ? [] : [`= ${row.result}`]),
      ...(note ? [note.note] : []),
    ];
    const after = row.refs === null ? null : row.refs + (row.outcome === "refused" ? 0 : row.delta);
    const refs =
      row.refs === null
        ? row.delta === 0
          ? ""
          : row.delta > 0
            ? `+${row.delta}`
            : String(row.delta)
        : after === row.refs
          ? String(row.refs)
          : `${row.refs}→${after}`;
    return [
      span(` ${mark[0]} `, mark[1]),
      span(seconds(row.time_ns).padStart(width.time), "faint"),
      span(`  ${(before ? `+${duration(row.time_ns - before.time_ns)}` : "").padStart(8)}`, "faint"),
      span(`  ${String(row.cpu).padStart(3)}  `, "faint"),
      ...inColumns(line(taskOf(row)), width.task),
      span("  "),
      ...inColumns(line(span(row.function, row.isSite ? "label" : "text")), width.call),
      span("  "),
      ...inColumns(line(span(row.effect, effectMeaning(row.delta))), 10),
      span("  "),
      span(refs.padEnd(7), effectMeaning(row.delta)),
      span(` ${remarks.join("; ")}`, isBreak ? "warning" : lost ? "lost" : "faint"),
    ];
  }

  #stackLines(columns: number): Line[] {
    const selected = this.#selected();
    if (!selected) return [];
    const frames = this.#audit.view.stack(selected.stack);
    const head = inColumns(
      line(` `, span(`${selected.function}`, "strong"), span(` ${selected.effect} by ${taskOf(selected)}`, "faint")),
      columns,
    );
    if (frames.length === 0) return [head, line(span(" no stack was recorded", "faint"))];
    return [head, ...frames.map((frame) => line(span(" ← ", "border"), frame))];
  }

  #asText(): string {
    const notes = new Map(this.#notes.map((note) => [note.event, note]));
    const shown = Math.min(this.#count, MOST_COPIED);
    const width = this.#widths(0, Math.min(shown, 500));
    const lines: Line[] = [];
    for (let index = 0; index < shown; index++) {
      const operation = this.#operation(index);
      if (!operation) continue;
      lines.push(this.#eventLine(operation, this.#operation(index - 1), notes.get(operation.event), width));
    }
    const more =
      this.#count > shown ? [line(`… ${this.#count - shown} more: ktally query has them all (view story)`)] : [];
    return `${plain([line(this.title), this.#summary(), [], ...lines, ...more])}\n`;
  }
}

/** Operations read at once. */
const PAGE = 256;
const MOST_COPIED = 2000;

function lifeOf(audit: AuditBrowser, object: ObjectHead): Window {
  const seen = audit.operations.span(object.id);
  const { created_ns: created, destroyed_ns: destroyed } = object;
  const from = created !== null && seen ? earlier(created, seen.first) : (created ?? seen?.first ?? 0n);
  const to = destroyed !== null && seen ? later(destroyed, seen.last) : (destroyed ?? seen?.last ?? from);
  return { from, to: later(to, from + 1n) };
}
