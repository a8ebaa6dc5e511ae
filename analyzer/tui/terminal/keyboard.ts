/**
 * What a terminal sends, as keys: printable characters as they are, others by name (`up`, `enter`, `ctrl+c`,
 * `shift+tab`, `alt+x`, `wheel-up`, `click`). Sequences are those of xterm's "ctlseqs".
 */

export interface Key {
  name: string;
  /** Cell of the mouse, from 0. */
  at?: { column: number; row: number };
}

const FINAL_LETTERS: Record<string, string> = {
  A: "up",
  B: "down",
  C: "right",
  D: "left",
  F: "end",
  H: "home",
  Z: "shift+tab",
};
const NUMBERED: Record<string, string> = {
  "1": "home",
  "3": "delete",
  "4": "end",
  "5": "pageup",
  "6": "pagedown",
  "7": "home",
  "8": "end",
  "200": "paste-begin",
  "201": "paste-end",
};
const CONTROLS: Record<string, string> = {
  "\r": "enter",
  "\n": "enter",
  "\t": "tab",
  "\u007f": "backspace",
  "\b": "backspace",
  "\u001b": "escape",
  "\0": "ctrl+space",
};
/** CSI: parameters, then a final byte. */
const CSI = /^\u001b\[([0-9;:<=>?]*)([ -/]*)([@-~])/;
const INCOMPLETE = /^\u001b(\[[0-9;:<=>?]*[ -/]*|O|\][^\u0007\u001b]*\u001b?)?$/;
/** An answer to a question about colours; also whatever else comes as an operating system command. */
const OSC = /^\u001b\]([^\u0007\u001b]*)(?:\u0007|\u001b\\)/;

/** Takes what was read, piece by piece. Escape alone looks like the begin of a sequence: `flush` settles it. */
export class KeyDecoder {
  #waiting = "";
  /** Told of answers to operating system commands (`11;rgb:...`). */
  readonly #answered: (answer: string) => void;

  constructor(answered: (answer: string) => void = () => {}) {
    this.#answered = answered;
  }

  decode(text: string): Key[] {
    this.#waiting += text;
    const keys: Key[] = [];
    while (this.#waiting !== "" && !INCOMPLETE.test(this.#waiting)) {
      const key = this.#next();
      if (key) keys.push(key);
    }
    return keys;
  }

  /** Whether an escape waits for what may follow it. */
  get isWaiting(): boolean {
    return this.#waiting !== "";
  }

  /** Nothing followed. */
  flush(): Key[] {
    const waiting = this.#waiting;
    this.#waiting = "";
    return waiting === "\u001b" ? [{ name: "escape" }] : [];
  }

  #next(): Key | null {
    const text = this.#waiting;
    const osc = OSC.exec(text);
    if (osc) {
      this.#take(osc[0].length);
      this.#answered(osc[1] ?? "");
      return null;
    }
    const csi = CSI.exec(text);
    if (csi) {
      this.#take(csi[0].length);
      return sequence(csi[1] ?? "", csi[3] ?? "");
    }
    if (text.startsWith("\u001bO") && text.length > 2) {
      this.#take(3);
      return named(FINAL_LETTERS[text[2] ?? ""]);
    }
    if (text.startsWith("\u001b") && text.length > 1 && text[1] !== "\u001b") {
      const character = String.fromCodePoint(text.codePointAt(1) ?? 0);
      this.#take(1 + character.length);
      return { name: `alt+${CONTROLS[character] ?? character}` };
    }
    const character = String.fromCodePoint(text.codePointAt(0) ?? 0);
    this.#take(character.length);
    return named(CONTROLS[character] ?? controlName(character));
  }

  #take(length: number): void {
    this.#waiting = this.#waiting.slice(length);
  }
}

function named(name: string | undefined): Key | null {
  return name === undefined ? null : { name };
}

function controlName(character: string): string {
  const code = character.charCodeAt(0);
  return code < 0x20 ? `ctrl+${String.fromCharCode(code + 0x60)}` : character;
}

function sequence(parameters: string, final: string): Key | null {
  if (parameters.startsWith("<")) return mouse(parameters.slice(1), final);
  const [first = "", modifier = ""] = parameters.split(";");
  const name = final === "~" ? NUMBERED[first] : FINAL_LETTERS[final];
  if (name === undefined) return null;
  const bits = Number(modifier || "1") - 1;
  const prefix = `${bits & 4 ? "ctrl+" : ""}${bits & 2 ? "alt+" : ""}${bits & 1 ? "shift+" : ""}`;
  return { name: prefix + name };
}

/** SGR mouse reports: `button;column;row`, M for pressed. */
function mouse(parameters: string, final: string): Key | null {
  const [button = 0, column = 1, row = 1] = parameters.split(";").map(Number);
  const at = { column: column - 1, row: row - 1 };
  if ((button & 0x43) === 0x40) return { name: "wheel-up", at };
  if ((button & 0x43) === 0x41) return { name: "wheel-down", at };
  return button === 0 && final === "M" ? { name: "click", at } : null;
}
