/** Plain SQL on the store: one reading statement, its rows as a table. */
import type { AuditBrowser } from "../../store/browse/audit-browser.js";
import { framed, inColumns, type Line, line, onGround, plain, type Size, span } from "../drawing/picture.js";
import { shown, widthOf } from "../drawing/width.js";
import { type ListState, moveList, place, START, select } from "../list.js";
import type { View, Wish } from "../screen-type.js";
import { QueryProcess, type SqlResult } from "./query-process.js";

const MOST_ROWS = 10_000;
/** Longest cell that is shown whole. */
const WIDEST = 60;

export class SqlScreen implements View {
  readonly name = "sql";
  readonly title = "SQL";
  readonly #audit: AuditBrowser;
  #sql = "";
  #running: QueryProcess | null = null;
  #result: SqlResult | null = null;
  #problem: string | null = null;
  #widths: number[] = [];
  /** First column that is shown. */
  #left = 0;
  #list: ListState = START;

  constructor(audit: AuditBrowser) {
    this.#audit = audit;
  }

  draw(size: Size): Line[] {
    const count = this.#result?.rows.length ?? 0;
    this.#list = select(this.#list, this.#list.selected, count, rowsIn(size));
    const title = line(span("SQL ", "accent"), span(this.#sql, "strong"));
    const cut = this.#result?.isCut === true ? `the first ${count.toLocaleString("en")} rows · ` : "";
    const note = count === 0 ? [] : line(span(`${cut}${place(this.#list, count)}`, "faint"));
    return framed({ title, note, isFocused: true }, this.#lines(size), size);
  }

  handle(command: string, size: Size): Wish | null {
    switch (command) {
      case "sql":
        return {
          kind: "ask",
          label: "SQL",
          text: this.#sql,
          done: (text) => this.#run(text),
        };
      case "back":
        if (this.#running === null) return null;
        this.#stop();
        return { kind: "say", text: "stopped" };
      case "pan-left":
        this.#left = Math.max(0, this.#left - 1);
        return null;
      case "pan-right":
        this.#left = Math.min(Math.max(0, (this.#result?.columns.length ?? 1) - 1), this.#left + 1);
        return null;
      case "copy":
        return this.#result ? { kind: "copy", text: asTable(this.#result), what: "the rows, separated by tabs" } : null;
      case "copy-json":
        return this.#result ? { kind: "copy", text: asJson(this.#result), what: "the rows as JSON" } : null;
      case "page":
        return this.#result ? { kind: "show", text: asTable(this.#result), with: "pager" } : null;
      default:
        this.#list = moveList(this.#list, command, this.#result?.rows.length ?? 0, rowsIn(size));
        return null;
    }
  }

  #run(sql: string): Wish | null {
    this.#stop();
    this.#sql = sql;
    this.#list = START;
    this.#left = 0;
    this.#problem = null;
    this.#result = null;
    if (sql.trim() === "") return null;
    const query = new QueryProcess(this.#audit.path, sql, MOST_ROWS);
    this.#running = query;
    // A later statement has taken the place of one that was stopped.
    const end = (show: () => void) => {
      if (this.#running !== query) return;
      this.#running = null;
      show();
    };
    const until = query.result.then(
      (result) =>
        end(() => {
          this.#result = result;
          this.#widths = widthsOf(result);
        }),
      (error: unknown) =>
        end(() => {
          this.#problem = error instanceof Error ? error.message : String(error);
        }),
    );
    return { kind: "wait", until };
  }

  #stop(): void {
    this.#running?.stop();
    this.#running = null;
  }

  #lines(size: Size): Line[] {
    if (this.#problem !== null) return [[], line(span(` ${this.#problem}`, "error"))];
    if (this.#running !== null) return [[], line(span(" running; "), span("esc", "key"), span(" stops it"))];
    if (this.#result === null) return hints(this.#audit);
    const { columns, rows } = this.#result;
    const { top, selected } = this.#list;
    const inner = size.columns - 2;
    const cells = (texts: readonly string[], as: "label" | "text"): Line => [
      span(" "),
      ...texts
        .slice(this.#left)
        .flatMap((text, index) => [
          ...inColumns(line(span(text, as)), this.#widths[this.#left + index] ?? 1),
          span("  "),
        ]),
    ];
    return [
      inColumns(cells(columns, "label"), inner),
      ...rows.slice(top, top + rowsIn(size)).map((row, index) => {
        const content = inColumns(cells(row, "text"), inner);
        return top + index === selected ? onGround("selected", content) : content;
      }),
    ];
  }
}

function hints(audit: AuditBrowser): Line[] {
  return [
    [],
    line(span("  : ", "key"), "then one SELECT, for example:"),
    [],
    ...EXAMPLES.map((example) => line(span(`  ${example}`, "strong"))),
    [],
    ...audit
      .tables()
      .map(({ name, columns }) => line(span(`  ${name.padEnd(15)}`, "label"), span(columns.join(", "), "faint"))),
  ];
}

const EXAMPLES = [
  "SELECT * FROM balance ORDER BY abs(net) DESC",
  "SELECT printf('0x%x', address), refs_last FROM objects WHERE state = 'alive'",
  "SELECT comm, count(*) FROM timeline GROUP BY comm ORDER BY 2 DESC",
];

function rowsIn(size: Size): number {
  return Math.max(1, size.rows - 3);
}

function widthsOf({ columns, rows }: SqlResult): number[] {
  return columns.map((column, index) =>
    rows
      .slice(0, 500)
      .reduce(
        (width, row) => Math.max(width, Math.min(WIDEST, widthOf(shown(row[index] ?? "")))),
        widthOf(shown(column)),
      ),
  );
}

function asTable({ columns, rows }: SqlResult): string {
  return `${plain([columns, ...rows].map((row) => [{ text: row.map(shown).join("\t"), as: "text" }]))}\n`;
}

function asJson({ columns, rows }: SqlResult): string {
  const objects = rows.map((row) => Object.fromEntries(columns.map((column, index) => [column, row[index] ?? null])));
  return `${JSON.stringify(objects, null, 2)}\n`;
}
