/**
 * What ink draws on instead of standard output: an alternate screen, written where it changed and given back as it
 * was, however the program ends. ink's own writer is made for output between lines of a shell: a frame as high as the
 * terminal makes it clear all of it, what can be scrolled back to included, on every key.
 */
import { EventEmitter } from "node:events";
import type { WriteStream } from "node:tty";
import type { Size } from "../drawing/picture.js";

/** Alternate screen; no cursor, no wrapping; presses and the wheel of the mouse as SGR reports; pastes marked. */
const TAKE = "\u001b[?1049h\u001b[?25l\u001b[?7l\u001b[?1000h\u001b[?1006h\u001b[?2004h\u001b[2J";
const GIVE_BACK = "\u001b[?2004l\u001b[?1006l\u001b[?1000l\u001b[?7h\u001b[0m\u001b[?25h\u001b[?1049l";
/** Synchronized output: a terminal that knows it shows the frame at once. */
const BEGIN = "\u001b[?2026h";
const END = "\u001b[?2026l";

/** As much of a terminal as is needed of it. */
export type Terminal = Pick<WriteStream, "columns" | "rows" | "write">;

export class Screen extends EventEmitter {
  /** Where the user types, in the frame that comes next; null: nowhere. */
  cursor: { row: number; column: number } | null = null;
  readonly #terminal: Terminal;
  #frame: readonly string[] = [];
  #isOpen = false;

  constructor(terminal: Terminal) {
    super();
    this.#terminal = terminal;
  }

  get columns(): number {
    return this.#terminal.columns || 80;
  }

  get rows(): number {
    return this.#terminal.rows || 24;
  }

  get size(): Size {
    return { columns: this.columns, rows: this.rows };
  }

  open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#frame = [];
    this.#terminal.write(TAKE);
  }

  /** A frame of ink's: all its rows. */
  write(frame: string): boolean {
    if (!this.#isOpen) return true;
    const rows = frame.split("\n");
    let output = "";
    for (const [row, text] of rows.entries()) {
      // Erasing to the right after the last column would take that column's character with it.
      if (text !== this.#frame[row]) output += `\u001b[${row + 1};1H\u001b[0m\u001b[2K${text}`;
    }
    if (this.#frame.length > rows.length) output += `\u001b[${rows.length + 1};1H\u001b[0J`;
    this.#frame = rows;
    const { cursor } = this;
    const end = cursor === null ? "\u001b[?25l" : `\u001b[${cursor.row + 1};${cursor.column + 1}H\u001b[?25h`;
    this.#terminal.write(`${BEGIN}${output}${end}${END}`);
    return true;
  }

  /** Forgets what is on the terminal: the next frame is written whole. */
  forget(): void {
    this.#frame = [];
    if (this.#isOpen) this.#terminal.write("\u001b[0m\u001b[2J");
  }

  /** Something for the terminal itself, such as its clipboard. */
  send(sequence: string): void {
    this.#terminal.write(sequence);
  }

  /** Gives the terminal back. Safe to call as a process ends: Node writes to terminals at once. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    try {
      this.#terminal.write(GIVE_BACK);
    } catch {
      // A terminal that is gone needs nothing back.
    }
  }
}
