/** Recorded events of a task or of a probe, in order, with what they recorded. */
import { seconds } from "../../report/text.js";
import type { AuditBrowser } from "../../store/browse/audit-browser.js";
import type { EventRow, EventsOf } from "../../store/browse/events.js";
import { beside, framed, inColumns, type Line, line, onGround, type Size, span } from "../drawing/picture.js";
import { taskOf } from "../findings/story.js";
import { type ListState, moveList, place, START, select } from "../list.js";
import { ObjectScreen } from "../object/object-screen.js";
import type { View, Wish } from "../screen-type.js";

const SIDE_BY_SIDE = 130;
const PAGE = 256;

export class EventsScreen implements View {
  readonly name = "events";
  readonly title: string;
  readonly #audit: AuditBrowser;
  readonly #of: EventsOf;
  #count: number;
  #list: ListState = START;
  #isStackOpen = false;
  #page: { from: number; rows: EventRow[] } = { from: 0, rows: [] };

  constructor(audit: AuditBrowser, of: EventsOf & { text: string }) {
    this.#audit = audit;
    this.#of = of;
    this.title = of.text;
    this.#count = audit.events.count(of);
  }

  draw(size: Size): Line[] {
    const { list, stack } = this.#areas(size);
    this.#list = select(this.#list, this.#list.selected, this.#count, rowsIn(list));
    const frame = {
      title: line(span(this.title, "accent"), span(` ${place(this.#list, this.#count)}`, "faint")),
      isFocused: true,
    };
    const lists = framed(frame, this.#eventLines(list), list);
    if (stack === null) return lists;
    const frames = framed({ title: line(span("Stack", "accent")) }, this.#stackLines(), stack);
    if (stack.columns === size.columns) return [...lists, ...frames];
    return beside({ lines: lists, columns: list.columns }, { lines: frames, columns: stack.columns });
  }

  handle(command: string, size: Size): Wish | null {
    if (command === "stack") {
      this.#isStackOpen = !this.#isStackOpen;
      return null;
    }
    if (command === "open") {
      const event = this.#event(this.#list.selected);
      const object = event ? this.#audit.objects.ofEvent(event.id) : null;
      if (!event || !object) return { kind: "say", text: "this event is about no object that was followed" };
      return { kind: "open", view: new ObjectScreen(this.#audit, object, event.id) };
    }
    this.#list = moveList(this.#list, command, this.#count, rowsIn(this.#areas(size).list));
    return null;
  }

  refresh(): void {
    this.#count = this.#audit.events.count(this.#of);
    this.#page = { from: 0, rows: [] };
  }

  #areas({ columns, rows }: Size): { list: Size; stack: Size | null } {
    if (columns >= SIDE_BY_SIDE) {
      const right = Math.min(60, Math.floor(columns * 0.3));
      return { list: { columns: columns - right, rows }, stack: { columns: right, rows } };
    }
    if (!this.#isStackOpen) return { list: { columns, rows }, stack: null };
    const lower = Math.floor(rows / 2);
    return { list: { columns, rows: rows - lower }, stack: { columns, rows: lower } };
  }

  #event(index: number): EventRow | undefined {
    if (index < 0 || index >= this.#count) return undefined;
    const { from, rows } = this.#page;
    if (index < from || index >= from + rows.length) {
      const begin = Math.max(0, index - PAGE / 2);
      this.#page = { from: begin, rows: this.#audit.events.page(this.#of, begin, PAGE) };
    }
    return this.#page.rows[index - this.#page.from];
  }

  #eventLines(size: Size): Line[] {
    const { top, selected } = this.#list;
    const shown = Array.from({ length: rowsIn(size) }, (_, row) => this.#event(top + row));
    const time = Math.max(...shown.map((row) => (row ? seconds(row.time_ns).length : 0)));
    const task = Math.min(20, Math.max(...shown.map((row) => (row ? taskOf(row).length : 0))));
    return shown.map((row, index) => {
      if (!row) return [];
      const content = inColumns(
        [
          span(` ${seconds(row.time_ns).padStart(time)} `, "faint"),
          span(` ${String(row.cpu).padStart(3)}  `, "faint"),
          ...inColumns(line(taskOf(row)), task),
          span("  "),
          span(row.name, "strong"),
          span(row.place === null || row.place === row.name ? "" : ` ${row.place}`, "label"),
          ...row.values.flatMap(({ name, value }) => line(span(` ${name}=`, "faint"), value)),
        ],
        size.columns - 2,
      );
      return top + index === selected ? onGround("selected", content) : content;
    });
  }

  #stackLines(): Line[] {
    const event = this.#event(this.#list.selected);
    const frames = event ? this.#audit.view.stack(event.stack) : [];
    if (frames.length === 0) return [line(span(" no stack was recorded", "faint"))];
    return frames.map((frame) => line(span(" ← ", "border"), frame));
  }
}

function rowsIn(size: Size): number {
  return Math.max(1, size.rows - 2);
}
