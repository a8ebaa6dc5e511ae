/** Search: by address, pid, task name or function. */
import type { AuditBrowser } from "../../store/browse/audit-browser.js";
import type { Hit } from "../../store/browse/find.js";
import { framed, inColumns, type Line, line, type Meaning, onGround, type Size, span } from "../drawing/picture.js";
import { EventsScreen } from "../events/events-screen.js";
import { type ListState, moveList, place, START, select } from "../list.js";
import { ObjectScreen } from "../object/object-screen.js";
import type { View, Wish } from "../screen-type.js";

/** Hits of each kind that are shown; who gets more types more. */
const MOST = 200;
const KINDS: Record<Hit["kind"], { name: string; as: Meaning }> = {
  object: { name: "object", as: "accent" },
  task: { name: "task", as: "label" },
  probe: { name: "function", as: "get" },
};

export class FindScreen implements View {
  readonly name = "find";
  readonly title = "Find";
  readonly #audit: AuditBrowser;
  #text = "";
  #hits: Hit[] = [];
  #list: ListState = START;

  constructor(audit: AuditBrowser) {
    this.#audit = audit;
  }

  draw(size: Size): Line[] {
    this.#list = select(this.#list, this.#list.selected, this.#hits.length, rowsIn(size));
    const title = line(
      span("Find ", "accent"),
      span(this.#text, "match"),
      span(` ${place(this.#list, this.#hits.length)}`, "faint"),
    );
    return framed({ title, isFocused: true }, this.#lines(size), size);
  }

  handle(command: string, size: Size): Wish | null {
    if (command === "filter") {
      return {
        kind: "ask",
        label: "find",
        text: this.#text,
        changed: (text) => this.#search(text),
        done: (text) => {
          this.#search(text);
          return null;
        },
      };
    }
    if (command === "open") return this.#open();
    this.#list = moveList(this.#list, command, this.#hits.length, rowsIn(size));
    return null;
  }

  click(at: { column: number; row: number }, size: Size): Wish | null {
    if (at.row < 1) return null;
    this.#list = select(this.#list, this.#list.top + at.row - 1, this.#hits.length, rowsIn(size));
    return null;
  }

  refresh(): void {
    this.#hits = this.#audit.search.find(this.#text, MOST);
  }

  #search(text: string): void {
    this.#text = text;
    this.#hits = this.#audit.search.find(text, MOST);
    this.#list = START;
  }

  #open(): Wish | null {
    const hit = this.#hits[this.#list.selected];
    if (!hit) return null;
    if (hit.kind !== "object") return { kind: "open", view: new EventsScreen(this.#audit, hit) };
    const object = this.#audit.objects.get(hit.id);
    return object ? { kind: "open", view: new ObjectScreen(this.#audit, object) } : null;
  }

  #lines(size: Size): Line[] {
    if (this.#text === "") {
      return [
        [],
        line(span("  / ", "key"), "then what you know of it:"),
        [],
        line(span("  an address      ", "label"), "0xffffcf5cc0421000, or its last digits"),
        line(span("  a pid           ", "label"), "194"),
        line(span("  a task's name   ", "label"), "qemu"),
        line(span("  a function      ", "label"), "kvm_put_kvm"),
      ];
    }
    if (this.#hits.length === 0) return [line(span(" nothing of this name, number or address was seen", "faint"))];
    const { top, selected } = this.#list;
    return this.#hits.slice(top, top + rowsIn(size)).map((hit, row) => {
      const { name, as } = KINDS[hit.kind];
      const content = inColumns(
        line(span(` ${name.padEnd(9)} `, as), hit.text, span(`  ${hit.more}`, "faint")),
        size.columns - 2,
      );
      return top + row === selected ? onGround("selected", content) : content;
    });
  }
}

function rowsIn(size: Size): number {
  return Math.max(1, size.rows - 2);
}
