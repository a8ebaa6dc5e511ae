/** Modules and other owners as lanes, and every registration within its owner's life: one that sticks out is a bug. */
import { seconds } from "../../report/text.js";
import type { AuditBrowser } from "../../store/browse/audit-browser.js";
import type { LifeRow } from "../../store/browse/objects.js";
import type { RegistrationRow } from "../../store/browse/registrations.js";
import { type Bar, drawLane, type Window } from "../drawing/lane.js";
import { framed, inColumns, type Line, line, onGround, type Size, span } from "../drawing/picture.js";
import { type ListState, moveList, place, START, select } from "../list.js";
import type { View, Wish } from "../screen-type.js";
import { axisLabels } from "../times.js";
import { panned, zoomed } from "../zoom.js";

const PAGE = 128;
/** The lower pane tells the selected line in words. */
const WORDS = 4;

type Row = { kind: "owner"; owner: LifeRow } | { kind: "registration"; entry: RegistrationRow };

export class RegistrationsScreen implements View {
  readonly name = "registrations";
  readonly title = "Registrations";
  readonly #audit: AuditBrowser;
  #owners = 0;
  #entries = 0;
  #whole: Window = { from: 0n, to: 1n };
  #window: Window | null = null;
  #list: ListState = START;
  readonly #pages = new Map<number, Row[]>();

  /** `registration`: the one to select. */
  constructor(audit: AuditBrowser, registration: number | null = null) {
    this.#audit = audit;
    this.refresh();
    if (registration !== null) {
      const index = this.#owners + audit.registrations.index(registration);
      this.#list = select(this.#list, index, this.#count, Math.min(10, this.#count));
    }
  }

  refresh(): void {
    this.#owners = this.#audit.objects.counts().find((entry) => entry.class === "module")?.count ?? 0;
    this.#entries = this.#audit.registrations.count();
    this.#whole = this.#audit.recording.span();
    this.#pages.clear();
  }

  draw(size: Size): Line[] {
    const rows = rowsIn(size);
    this.#list = select(this.#list, this.#list.selected, this.#count, rows);
    const label = Math.min(52, Math.max(26, Math.floor(size.columns * 0.36)));
    const lane = Math.max(8, size.columns - 4 - label);
    const window = this.#window ?? this.#whole;
    const upper = { columns: size.columns, rows: size.rows - WORDS - 2 };
    const lines = Array.from({ length: rows }, (_, row) =>
      this.#laneLine(this.#list.top + row, label, lane, window, size.columns - 2),
    );
    const head = line(span(`${" ".repeat(label + 1)}${axisLabels(window.from, window.to, lane)}`, "faint"));
    const note = line(span("─ owner ", "accent"), span("━ registered ", "good"), span("━ sticks out", "error"));
    const title = line(span("Registrations ", "accent"), span(place(this.#list, this.#count), "faint"));
    const lower = { columns: size.columns, rows: WORDS + 2 };
    return [
      ...framed(
        { title, note, isFocused: true },
        this.#count === 0 ? [line(span(" no module and no registration was seen", "faint"))] : [head, ...lines],
        upper,
      ),
      ...framed({ title: line(span("Selected", "accent")) }, this.#words(), lower),
    ];
  }

  handle(command: string, size: Size): Wish | null {
    const window = this.#window ?? this.#whole;
    const middle = (window.from + window.to) / 2n;
    const around = this.#moment() ?? middle;
    switch (command) {
      case "zoom-in":
        this.#window = zoomed(window, around, this.#whole, 1n, 2n);
        return null;
      case "zoom-out":
        this.#window = zoomed(window, around, this.#whole, 2n, 1n);
        return null;
      case "zoom-all":
        this.#window = null;
        return null;
      case "pan-left":
      case "pan-right":
        this.#window = panned(window, command === "pan-left" ? -1n : 1n, this.#whole);
        return null;
      case "next-orphan": {
        const id = this.#audit.registrations.nextOrphan(this.#selectedEntry()?.id ?? 0);
        if (id === null) return { kind: "say", text: "no registration outlived its owner, as far as seen" };
        this.#list = select(this.#list, this.#owners + this.#audit.registrations.index(id), this.#count, rowsIn(size));
        return null;
      }
      default:
        this.#list = moveList(this.#list, command, this.#count, rowsIn(size));
        return null;
    }
  }

  click(at: { column: number; row: number }, size: Size): Wish | null {
    if (at.row >= 2 && at.row < size.rows - WORDS - 3) {
      this.#list = select(this.#list, this.#list.top + at.row - 2, this.#count, rowsIn(size));
    }
    return null;
  }

  get #count(): number {
    return this.#owners + this.#entries;
  }

  #row(index: number): Row | undefined {
    if (index < 0 || index >= this.#count) return undefined;
    const page = Math.floor(index / PAGE);
    let rows = this.#pages.get(page);
    if (!rows) {
      rows = this.#read(page * PAGE);
      if (this.#pages.size > 8) this.#pages.clear();
      this.#pages.set(page, rows);
    }
    return rows[index - page * PAGE];
  }

  #read(from: number): Row[] {
    const owners = from < this.#owners ? this.#audit.objects.lives("module", from, PAGE, this.#owners) : [];
    const entries =
      owners.length < PAGE
        ? this.#audit.registrations.page(Math.max(0, from - this.#owners), PAGE - owners.length)
        : [];
    return [
      ...owners.map((owner): Row => ({ kind: "owner", owner })),
      ...entries.map((entry): Row => ({ kind: "registration", entry })),
    ];
  }

  #selectedEntry(): RegistrationRow | null {
    const row = this.#row(this.#list.selected);
    return row?.kind === "registration" ? row.entry : null;
  }

  /** Where zooming in goes: to the end of what is selected, as that is where it gets interesting. */
  #moment(): bigint | null {
    const row = this.#row(this.#list.selected);
    if (row?.kind === "owner") return row.owner.destroyed_ns ?? row.owner.created_ns;
    if (!row) return null;
    return row.entry.owner_ended_ns ?? row.entry.unregistered_ns ?? row.entry.registered_ns;
  }

  #laneLine(index: number, label: number, lane: number, window: Window, columns: number): Line {
    const row = this.#row(index);
    if (!row) return [];
    const content =
      row.kind === "owner"
        ? [
            ...inColumns(line(span(` ${ownerName(row.owner)}`, "strong")), label),
            span(" "),
            ...drawLane([ownerBar(row.owner)], window, lane),
          ]
        : [
            ...inColumns(line(span(row.entry.isOrphaned ? " ● " : "   ", "error"), entryName(row.entry)), label),
            span(" "),
            ...drawLane(entryBars(row.entry), window, lane),
          ];
    const filled = inColumns(content, columns);
    return index === this.#list.selected ? onGround("selected", filled) : filled;
  }

  #words(): Line[] {
    const row = this.#row(this.#list.selected);
    if (!row) return [];
    if (row.kind === "owner") {
      const { created_ns: began, destroyed_ns: ended } = row.owner;
      return [
        line(" ", span(ownerName(row.owner), "strong"), span("  module", "faint")),
        line(
          ` ${began === null ? "there before the recording" : `from ${seconds(began)}`}, ${ended === null ? "not ended in it" : `until ${seconds(ended)}`}`,
        ),
      ];
    }
    const { entry } = row;
    const end =
      entry.unregistered_ns !== null
        ? `unregistered ${seconds(entry.unregistered_ns)}`
        : entry.end === null
          ? "still registered at the end"
          : entry.end === "home-gone"
            ? "gone with the module that held the table"
            : entry.end;
    return [
      line(
        " ",
        span(entryName(entry), "strong"),
        span(`  registered ${seconds(entry.registered_ns)}, ${end}`, "faint"),
      ),
      line(
        ` owner ${entry.owner ?? "not known"}${entry.owner_ended_ns === null ? "" : `, ended ${seconds(entry.owner_ended_ns)}`}`,
      ),
      entry.isOrphaned
        ? line(span(" its owner ended first: what it points to is gone", "error"))
        : line(span(" within its owner's life, as far as seen", "faint")),
    ];
  }
}

function rowsIn(size: Size): number {
  return Math.max(1, size.rows - WORDS - 5);
}

function ownerName({ name, label, generation }: LifeRow): string {
  return `${name ?? label} #${generation}`;
}

function entryName({ class: name, key, ops }: RegistrationRow): string {
  const short = key >= 0n && key < 4096n ? String(key) : `0x${BigInt.asUintN(64, key).toString(16)}`;
  return `${name} ${short}${ops === null || BigInt.asUintN(64, key) === ops ? "" : ` ops 0x${ops.toString(16)}`}`;
}

function ownerBar({ created_ns: from, destroyed_ns: to }: LifeRow): Bar {
  return { from, to, as: "accent", weight: "thick" };
}

/** The owner's life, the registration over it, and in red what sticks out of it. */
function entryBars(entry: RegistrationRow): Bar[] {
  const { registered_ns: from, unregistered_ns: to, owner_began_ns: began, owner_ended_ns: ended, isOrphaned } = entry;
  const bars: Bar[] = [];
  if (entry.owner !== null) bars.push({ from: began, to: ended ?? to, as: "accent", weight: "thin" });
  if (!isOrphaned || ended === null) return [...bars, { from, to, as: isOrphaned ? "error" : "good", weight: "thick" }];
  return [...bars, { from: ended, to, as: "error", weight: "thick" }, { from, to: ended, as: "good", weight: "thick" }];
}
