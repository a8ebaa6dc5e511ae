/**
 * The terminal while ktally has it: an alternate screen that is drawn row by row, only where it changed, and given
 * back as it was, however the program ends.
 */
import type { Line, Size } from "../drawing/picture.js";
import { paint, type Theme } from "../drawing/theme.js";

/** Alternate screen; no cursor, no wrapping; presses and the wheel of the mouse as SGR reports; pastes marked. */
const TAKE = "\u001b[?1049h\u001b[?25l\u001b[?7l\u001b[?1000h\u001b[?1006h\u001b[?2004h\u001b[2J";
const GIVE_BACK = "\u001b[?2004l\u001b[?1006l\u001b[?1000l\u001b[?7h\u001b[0m\u001b[?25h\u001b[?1049l";
/** Synchronized output: a terminal that knows it shows the frame at once. */
const BEGIN = "\u001b[?2026h";
const END = "\u001b[?2026l";

export interface Terminal {
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
}

export class Screen {
  theme: Theme;
  readonly #terminal: Terminal;
  #rows: string[] = [];
  #isOpen = false;

  constructor(terminal: Terminal, theme: Theme) {
    this.#terminal = terminal;
    this.theme = theme;
  }

  get size(): Size {
    return { columns: this.#terminal.columns || 80, rows: this.#terminal.rows || 24 };
  }

  open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#rows = [];
    this.#terminal.write(TAKE);
  }

  /** Draws a picture; `cursor` is where the user types. */
  draw(lines: readonly Line[], cursor: { row: number; column: number } | null = null): void {
    if (!this.#isOpen) return;
    const painted = lines.map((content) => paint(content, this.theme));
    let output = "";
    for (const [row, text] of painted.entries()) {
      // Erasing to the right after the last column would take that column's character with it.
      if (text !== this.#rows[row]) output += `\u001b[${row + 1};1H\u001b[0m\u001b[2K${text}`;
    }
    if (this.#rows.length > painted.length) output += `\u001b[${painted.length + 1};1H\u001b[0J`;
    this.#rows = painted;
    const end = cursor === null ? "\u001b[?25l" : `\u001b[${cursor.row + 1};${cursor.column + 1}H\u001b[?25h`;
    this.#terminal.write(`${BEGIN}${output}${end}${END}`);
  }

  /** Forgets what is on the screen: the next picture is drawn whole. */
  forget(): void {
    this.#rows = [];
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
