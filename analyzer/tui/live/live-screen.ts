/** A recording as it goes on: what is alive and with how many references, how fast, what was lost, what was found. */
import { seconds } from "../../report/text.js";
import type { AuditBrowser } from "../../store/browse/audit-browser.js";
import type { ListedFinding } from "../../store/browse/findings.js";
import type { LiveObject } from "../../store/browse/objects.js";
import { beside, framed, inColumns, type Line, line, onGround, type Size, span } from "../drawing/picture.js";
import { gravityMeaning } from "../findings/story.js";
import { place, select } from "../list.js";
import { ObjectScreen } from "../object/object-screen.js";
import type { View, Wish } from "../screen-type.js";
import { duration } from "../times.js";
import { findingKey, type LiveFacts, type LiveState, reduceLive, sparkline, startLive } from "./live-state.js";

const SIDE_BY_SIDE = 130;
const HEAD = 5;
/** A finding is new for so long; milliseconds. */
const NEW_FOR = 10_000;
/** Parts of the time that one step back goes. */
const STEPS = 40n;
const MOST_OBJECTS = 500;

export interface LiveSource {
  /** What is watched, in words. */
  words(): string;
  /** Holds the picture that the store gives, or lets it go on. */
  hold(isHeld: boolean): void;
  /** What time it is on the recording's clock, in nanoseconds; null where nobody knows, or it is over. */
  now(): bigint | null;
}

export class LiveScreen implements View {
  readonly name = "live";
  readonly title = "Live";
  readonly #audit: AuditBrowser;
  readonly #source: LiveSource;
  #state: LiveState = startLive();
  #span = { from: 0n, to: 1n };
  #objects: LiveObject[] = [];
  #alive: { class: string; count: number; references: number }[] = [];
  #findings: ListedFinding[] = [];
  #losses = { places: 0, known: 0 };
  readonly #met = new Map<string, number>();

  constructor(audit: AuditBrowser, source: LiveSource) {
    this.#audit = audit;
    this.#source = source;
    this.refresh();
  }

  refresh(): void {
    const { from, to } = this.#audit.recording.span();
    const now = this.#source.now();
    // While nothing happens time goes on: what is alive grows older. Before the first event it has not begun.
    this.#span = { from, to: from > 0n && now !== null && now > to ? now : to };
    this.#losses = this.#audit.recording.lost();
    this.#findings = this.#audit.findings.heads().filter(({ consequence_of: root }) => root === null);
    for (const head of this.#findings) {
      const key = findingKey(head);
      if (!this.#met.has(key)) this.#met.set(key, Date.now());
    }
    this.#look();
  }

  draw(size: Size): Line[] {
    const { objects, findings } = areasOf(size);
    const upper = framed(
      { title: [span("Live ", "accent"), ...this.#clock(), span(` ${this.#source.words()}`, "faint")] },
      this.#headLines(size.columns - 4),
      { columns: size.columns, rows: HEAD },
    );
    const rows = objects.rows - 3;
    this.#state = {
      ...this.#state,
      list: select(this.#state.list, this.#state.list.selected, this.#objects.length, rows),
    };
    const left = framed(
      {
        title: line(span("Alive ", "accent"), span(place(this.#state.list, this.#objects.length), "faint")),
        isFocused: true,
      },
      this.#objectLines(objects),
      objects,
    );
    const right = framed(
      { title: line(span("Findings as they come", "accent")) },
      this.#findingLines(findings),
      findings,
    );
    if (objects.columns === size.columns) return [...upper, ...left, ...right];
    return [
      ...upper,
      ...beside({ lines: left, columns: objects.columns }, { lines: right, columns: findings.columns }),
    ];
  }

  handle(command: string, size: Size): Wish | null {
    if (command === "open") {
      const object = this.#objects[this.#state.list.selected];
      const head = object ? this.#audit.objects.get(object.id) : null;
      return head ? { kind: "open", view: new ObjectScreen(this.#audit, head) } : null;
    }
    const before = this.#state.at;
    this.#state = reduceLive(this.#state, command, this.#facts(size));
    if (this.#state.at === before) return null;
    this.#source.hold(this.#state.at !== null);
    if (this.#state.at === null) this.refresh();
    else this.#look();
    return null;
  }

  #facts(size: Size): LiveFacts {
    const { from, to } = this.#span;
    const rows = areasOf(size).objects.rows - 3;
    return { count: this.#objects.length, rows, from, to, step: (to - from) / STEPS || 1n };
  }

  get #moment(): bigint {
    return this.#state.at ?? this.#span.to;
  }

  #look(): void {
    this.#objects = this.#audit.objects.aliveAt(this.#moment, MOST_OBJECTS);
    this.#alive = this.#audit.objects.aliveCounts(this.#moment);
  }

  #clock(): Line {
    const { at } = this.#state;
    const since = duration(this.#moment - this.#span.from);
    if (at === null) return line(span("● ", "error"), span(`${since} `, "strong"));
    return line(span("❚❚ ", "warning"), span(`held at ${since}, ${duration(at - this.#span.to)} `, "warning"));
  }

  #headLines(columns: number): Line[] {
    const parts = Math.max(10, Math.min(80, columns - 40));
    const { counts, perSecond, total } = this.#audit.recording.rates(this.#span, parts);
    const { places, known } = this.#losses;
    const lost =
      places === 0
        ? span("nothing lost", "good")
        : span(`${known > 0 ? known.toLocaleString("en") : "some"} lost in ${places} places`, "lost");
    const alive = this.#alive.flatMap(({ class: name, count, references }) => [
      span(`  ${name} `, "label"),
      span(String(count), "strong"),
      span(references > 0 ? ` (refs ${references})` : "", "faint"),
    ]);
    return [
      [
        span(" "),
        span(sparkline(counts), "accent"),
        span(`  ${total.toLocaleString("en")} events`, "strong"),
        span(`  ${perSecond.toLocaleString("en")}/s  `, "text"),
        lost,
      ],
      this.#cursorLine(parts),
      [span(" alive", "faint"), ...(alive.length > 0 ? alive : [span("  nothing yet", "faint")])],
    ];
  }

  /** Where in the sparkline one looks. */
  #cursorLine(parts: number): Line {
    if (this.#state.at === null) return [];
    const { from, to } = this.#span;
    const column = Number(((this.#state.at - from) * BigInt(parts)) / (to - from || 1n));
    return line(span(`${" ".repeat(1 + Math.min(parts - 1, Math.max(0, column)))}▲`, "warning"));
  }

  #objectLines(size: Size): Line[] {
    const inner = size.columns - 2;
    const { top, selected } = this.#state.list;
    const label = Math.max(20, Math.min(48, inner - 30));
    const head = line(span(`   ${"object".padEnd(label)}    refs       age  last`, "faint"));
    const shown = this.#objects.slice(top, top + size.rows - 3);
    return [
      head,
      ...shown.map((object, row) => {
        const content = inColumns(
          [
            span("   "),
            ...inColumns(line(object.label), label),
            span(`${object.refs ?? "?"}`.padStart(8), object.refs === null ? "faint" : "strong"),
            span(duration(this.#moment - object.since_ns).padStart(10), "faint"),
            span(`  ${object.last ?? ""}`, "faint"),
          ],
          inner,
        );
        return top + row === selected ? onGround("selected", content) : content;
      }),
    ];
  }

  #findingLines(size: Size): Line[] {
    const newest = [...this.#findings].sort(
      (a, b) => (this.#met.get(findingKey(b)) ?? 0) - (this.#met.get(findingKey(a)) ?? 0),
    );
    if (newest.length === 0) return [line(span(" none so far", "faint"))];
    return newest.slice(0, size.rows - 2).map((head) => {
      const isNew = Date.now() - (this.#met.get(findingKey(head)) ?? 0) < NEW_FOR;
      const time = head.time_ns === null ? "" : seconds(head.time_ns);
      return [
        span(isNew ? " NEW " : "     ", "match"),
        span(`${time} `, "faint"),
        span(`${head.level === "note" ? "note" : head.verdict} `, gravityMeaning(head)),
        span(`${head.rule} `, "strong"),
        span(head.title),
      ];
    });
  }
}

function areasOf({ columns, rows }: Size): { objects: Size; findings: Size } {
  const rest = rows - HEAD;
  if (columns >= SIDE_BY_SIDE) {
    const left = Math.floor(columns / 2);
    return { objects: { columns: left, rows: rest }, findings: { columns: columns - left, rows: rest } };
  }
  const lower = Math.max(4, Math.floor(rest * 0.4));
  return { objects: { columns, rows: rest - lower }, findings: { columns, rows: lower } };
}
