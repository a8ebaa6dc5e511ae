/** Gets against puts by call site: of one object, of a class, of all. What does not come to nothing is on top. */
import type { AuditBrowser } from "../../store/browse/audit-browser.js";
import {
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
import { place, select } from "../list.js";
import type { View, Wish } from "../screen-type.js";
import { type BalanceRow, type BalanceState, balanceRows, reduceBalance, startBalance } from "./balance-state.js";

const COUNT = 9;

export class BalanceScreen implements View {
  readonly name = "balance";
  readonly title: string;
  readonly #audit: AuditBrowser;
  readonly #object: { id: number; title: string } | null;
  #state: BalanceState;

  /** Without an object: all of them together. */
  constructor(audit: AuditBrowser, object: { id: number; title: string } | null = null) {
    this.#audit = audit;
    this.#object = object;
    this.title = object === null ? "Balance" : `Balance of ${object.title}`;
    this.#state = startBalance(audit.balance(object?.id ?? null));
  }

  draw(size: Size): Line[] {
    const lines = balanceRows(this.#state);
    const rows = rowsIn(size);
    const list = select(this.#state.list, this.#state.list.selected, lines.length, rows);
    this.#state = { ...this.#state, list };
    const of = this.#object === null ? (this.#state.class ?? "all classes") : this.#object.title;
    const title = line(span("Balance ", "accent"), span(of, "strong"), span(` ${place(list, lines.length)}`, "faint"));
    if (lines.length === 0) {
      return framed({ title, isFocused: true }, [line(span(" no get and no put was seen", "faint"))], size);
    }
    const inner = size.columns - 2;
    const head = line(
      span(`${"gets".padStart(COUNT)}${"puts".padStart(COUNT)}${"net".padStart(COUNT)}  call site`, "faint"),
    );
    const body = lines.slice(list.top, list.top + rows).map((row, index) => {
      const content = inColumns(this.#rowLine(row), inner);
      return list.top + index === list.selected ? onGround("selected", content) : content;
    });
    return framed({ title, isFocused: true }, [head, ...body], size);
  }

  handle(command: string, size: Size): Wish | null {
    if (command === "copy" || command === "page") {
      const all = reduceBalance(this.#state, "unfold-all", 1);
      const text = `${plain(balanceRows(all).map((row) => this.#rowLine(row)))}\n`;
      return command === "copy" ? { kind: "copy", text, what: "the balance" } : { kind: "show", text, with: "pager" };
    }
    this.#state = reduceBalance(this.#state, command, rowsIn(size));
    return null;
  }

  click(at: { column: number; row: number }, size: Size): Wish | null {
    if (at.row < 2 || at.row >= size.rows - 1) return null;
    const { list } = this.#state;
    const count = balanceRows(this.#state).length;
    this.#state = { ...this.#state, list: select(list, list.top + at.row - 2, count, rowsIn(size)) };
    return null;
  }

  refresh(): void {
    this.#state = { ...this.#state, pairs: this.#audit.balance(this.#object?.id ?? null) };
  }

  #rowLine(row: BalanceRow): Line {
    const { unfolded } = this.#state;
    const mark = unfolded.has(row.key) ? "▾" : "▸";
    if (row.kind === "pair") {
      const { gets, puts, net, class: name, shown_by: shownBy, sites } = row.pair;
      const names = sites.map((site) => site.name).join(" ⇄ ");
      const by = shownBy > 0 ? `, as ${shownBy} balanced ${shownBy === 1 ? "life shows" : "lives show"}` : "";
      return [
        number(gets, "get"),
        number(puts, "put"),
        span(`${net > 0 ? "+" : ""}${net}`.padStart(COUNT), net === 0 ? "faint" : net > 0 ? "error" : "warning"),
        span(`  ${mark} `, "key"),
        span(name, "strong"),
        span(unfolded.has(row.key) ? by : `  ${names}${by}`, "faint"),
      ];
    }
    if (row.kind === "site") {
      const { does, count, name } = row.site;
      return [
        does === "get" ? number(count, "get") : span(" ".repeat(COUNT)),
        does === "put" ? number(count, "put") : span(" ".repeat(COUNT)),
        span(" ".repeat(COUNT)),
        span(`    ${mark} `, "key"),
        span(`${does} `, does),
        span(name),
      ];
    }
    const count = row.count === null ? "" : `×${row.count}`;
    return [
      span(" ".repeat(3 * COUNT + 4)),
      span(count.padStart(6), "label"),
      span(` ${row.depth === 0 ? "┌" : "│"} `, "border"),
      span(row.text, row.depth === 0 ? "text" : "faint"),
    ];
  }
}

function number(value: number, as: Meaning) {
  return span(value.toLocaleString("en").padStart(COUNT), value === 0 ? "faint" : as);
}

function rowsIn(size: Size): number {
  return Math.max(1, size.rows - 3);
}
