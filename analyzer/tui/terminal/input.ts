/**
 * What ink reads instead of standard input: keys in whole sequences. What ink has no words for is told apart from
 * them: the mouse, pastes, and answers of the terminal to questions. Sequences are those of xterm's "ctlseqs".
 */
import { Readable } from "node:stream";
import type { ReadStream } from "node:tty";

/** How long the begin of a sequence waits for its rest; milliseconds. Escape alone looks like one. */
const REST_DELAY = 40;
/** How long the rest of a paste may take to come. */
const PASTE_DELAY = 2000;

/** Key sequences that ink knows and ktally may bind. */
const KEY = /^\u001b(?:\[[0-9;]*[ABCDFHZ]|\[[1-8](?:;[0-9]+)?~|O[ABCDFHM])$/;
const MOUSE = /^\u001b\[<([0-9]+);([0-9]+);([0-9]+)([Mm])$/;
/** An operating system command (`]`) is an answer about colours, a CSI with `?` one about the terminal itself. */
const ANSWER = /^\u001b(?:\]|\[\?)/;
/** The escape key as kitty's protocol writes it: unlike the bare byte it cannot be the begin of something else. */
const ESCAPE = "\u001b[27u";
const PASTE_BEGIN = "\u001b[200~";
const PASTE_END = "\u001b[201~";
/** A whole sequence, or the begin of one. */
const WHOLE = /^\u001b(?:\[[0-9;:<=>?]*[ -/]*[@-~]|O[\s\S]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[^[O\]\u001b])/;
const PLAIN = /^[^\u001b]+/;
const BEGIN = /^\u001b(?:\[[0-9;:<=>?]*[ -/]*|O|\][^\u0007\u001b]*\u001b?)?$/;

export interface MousePress {
  name: "wheel-up" | "wheel-down" | "click";
  /** Cell, from 0. */
  at: { column: number; row: number };
}

export interface Told {
  mouse?: (press: MousePress) => void;
  paste?: (text: string) => void;
  /** A sequence that the terminal sent in answer to a question. */
  answer?: (sequence: string) => void;
  /** The terminal is gone. */
  end?: () => void;
}

/** As much of a terminal's input as is needed of it. */
type Source = Pick<ReadStream, "setRawMode" | "on" | "off" | "resume" | "pause" | "ref" | "unref">;

export class TerminalInput extends Readable {
  /** ink asks whether it may read keys. */
  readonly isTTY = true;
  readonly #source: Source;
  readonly #told: Told;
  #waiting = "";
  #rest: NodeJS.Timeout | null = null;
  #isOpen = false;
  /** Waits for ink to read the keys before. */
  #isBehind = false;

  constructor(source: Source, told: Told) {
    super({ encoding: "utf8", read() {} });
    this.#source = source;
    this.#told = told;
  }

  /** Keys come here from now on, one by one and without echo. */
  open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.#source.setRawMode(true);
    this.#source.on("data", this.#onData);
    this.#source.on("end", this.#onEnd);
    this.#source.resume();
  }

  /** Leaves the keyboard to others. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if (this.#rest) clearTimeout(this.#rest);
    this.#waiting = "";
    this.#source.off("data", this.#onData);
    this.#source.off("end", this.#onEnd);
    this.#source.pause();
    try {
      this.#source.setRawMode(false);
    } catch {
      // A terminal that is gone has no mode.
    }
  }

  /** ink's wish; the session decides when the keyboard is taken and given back. */
  setRawMode(): this {
    return this;
  }

  ref(): this {
    this.#source.ref();
    return this;
  }

  unref(): this {
    this.#source.unref();
    return this;
  }

  readonly #onEnd = () => this.#told.end?.();

  readonly #onData = (data: Buffer | string) => {
    if (this.#rest) clearTimeout(this.#rest);
    this.#waiting += String(data);
    if (!this.#isBehind) this.#takeAll();
  };

  #takeAll(): void {
    for (let piece = this.#next(); piece !== null; piece = this.#next()) {
      const key = keyIn(piece);
      if (key === null && this.readableLength > 0) {
        // ink reads the keys before it first: what was done in order stays so.
        this.#isBehind = true;
        setImmediate(() => {
          this.#isBehind = false;
          this.#takeAll();
        });
        return;
      }
      this.#waiting = this.#waiting.slice(piece.length);
      if (key === null) this.#tell(piece);
      else this.push(key);
    }
    if (this.#waiting === "") return;
    const delay = this.#waiting.startsWith(PASTE_BEGIN) ? PASTE_DELAY : REST_DELAY;
    this.#rest = setTimeout(() => this.#giveUp(), delay);
  }

  /** Nothing followed. */
  #giveUp(): void {
    const waiting = this.#waiting;
    this.#waiting = "";
    if (waiting === "\u001b") this.push(ESCAPE);
    // A paste without an end must not take the keys from their user for ever.
    else if (waiting.startsWith(PASTE_BEGIN)) this.#tell(`${waiting}${PASTE_END}`);
  }

  /** The next piece; null when its end has not come yet. */
  #next(): string | null {
    const text = this.#waiting;
    if (text.startsWith(PASTE_BEGIN)) {
      const end = text.indexOf(PASTE_END);
      return end < 0 ? null : text.slice(0, end + PASTE_END.length);
    }
    if (BEGIN.test(text)) return null;
    // An escape before another one is the key.
    return WHOLE.exec(text)?.[0] ?? PLAIN.exec(text)?.[0] ?? (text === "" ? null : "\u001b");
  }

  #tell(piece: string): void {
    const mouse = MOUSE.exec(piece);
    if (mouse) this.#mouse(Number(mouse[1]), Number(mouse[2]), Number(mouse[3]), mouse[4] === "M");
    else if (piece.startsWith(PASTE_BEGIN)) this.#told.paste?.(piece.slice(PASTE_BEGIN.length, -PASTE_END.length));
    else if (ANSWER.test(piece)) this.#told.answer?.(piece);
  }

  #mouse(button: number, column: number, row: number, isPressed: boolean): void {
    const at = { column: column - 1, row: row - 1 };
    if ((button & 0x43) === 0x40) this.#told.mouse?.({ name: "wheel-up", at });
    else if ((button & 0x43) === 0x41) this.#told.mouse?.({ name: "wheel-down", at });
    else if (button === 0 && isPressed) this.#told.mouse?.({ name: "click", at });
  }
}

/** What ink gets of a piece; null when it is no key. */
function keyIn(piece: string): string | null {
  if (piece === "\u001b") return ESCAPE;
  if (KEY.test(piece)) return piece;
  // Both are the backspace key; ink takes the first for "delete".
  return PLAIN.test(piece) ? piece.replaceAll("\u007f", "\b") : null;
}
