/**
 * The application around the screens: which of them is in front, what the user types, what is said. It knows neither
 * files nor the terminal; it draws pictures and takes keys.
 */
import { inColumns, inRows, type Line, line, lineWidth, onGround, type Size, span, spread } from "./drawing/picture.js";
import { bindingFor, bindingsOf, keyLabel } from "./keys.js";
import { type PromptState, startPrompt, typeKey } from "./prompt-state.js";
import type { View, Wish } from "./screen-type.js";
import { HelpScreen } from "./text/text-screen.js";

/** What only the owner of the terminal can do. */
export type Deed =
  | { kind: "quit" }
  | { kind: "suspend" }
  | { kind: "redraw" }
  | { kind: "copy"; text: string; what: string }
  | { kind: "show"; text: string; with: "pager" | "editor" }
  | { kind: "wait"; until: Promise<void> };

interface Asking {
  label: string;
  prompt: PromptState;
  changed: ((text: string) => void) | undefined;
  done: (text: string) => Wish | null;
}

/** A place on the screen, from 0. */
interface Cell {
  column: number;
  row: number;
}

export interface Tab {
  title: string;
  /** Made when it is first looked at. */
  make: () => View;
}

export class App {
  readonly #tabs: readonly Tab[];
  readonly #views = new Map<number, View>();
  #tab = 0;
  /** Screens opened on top, the last one in front. */
  readonly #over: View[] = [];
  #asking: Asking | null = null;
  #said: string | null = null;
  /** What is looked at, for the upper edge. */
  subject: string;

  constructor(tabs: readonly Tab[], subject: string) {
    this.#tabs = tabs;
    this.subject = subject;
  }

  draw(size: Size): { lines: Line[]; cursor: { row: number; column: number } | null } {
    const body = inRows(this.#view.draw(bodyOf(size)), size.rows - 2);
    const { foot, column } = this.#foot(size.columns);
    return {
      lines: [this.#bar(size.columns), ...body, foot],
      cursor: column === null ? null : { row: size.rows - 1, column },
    };
  }

  /** The store has changed. */
  refresh(): void {
    for (const view of [...this.#views.values(), ...this.#over]) view.refresh?.();
  }

  say(text: string | null): void {
    this.#said = text;
  }

  /** A key by its name, or a press of the mouse at a cell. */
  press(key: string, size: Size, at: Cell | null = null): Deed | null {
    if (this.#asking) return this.#type(key);
    this.#said = null;
    if (key === "click") return at && this.#click(at, size);
    if (/^[1-9]$/.test(key) && Number(key) <= this.#tabs.length) return this.#go(Number(key) - 1);
    const binding = bindingFor(this.#view.name, key);
    return binding ? this.#command(binding.command, size) : null;
  }

  /** Text all at once. Where nobody asks for text it would press keys at random. */
  paste(text: string): null {
    // A line end would send off what one still wants to look at.
    if (this.#asking) for (const character of text.replace(/[\r\n\t]+/g, " ")) this.#type(character);
    return null;
  }

  get #view(): View {
    const front = this.#over.at(-1);
    if (front) return front;
    let view = this.#views.get(this.#tab);
    if (!view) {
      view = (this.#tabs[this.#tab] as Tab).make();
      this.#views.set(this.#tab, view);
    }
    return view;
  }

  #command(command: string, size: Size): Deed | null {
    switch (command) {
      case "quit":
      case "suspend":
      case "redraw":
        return { kind: command };
      case "help":
        return this.#fulfil({ kind: "open", view: new HelpScreen(this.#view.name, this.#view.title) });
      case "next-tab":
        return this.#go((this.#tab + 1) % this.#tabs.length);
      case "previous-tab":
        return this.#go((this.#tab + this.#tabs.length - 1) % this.#tabs.length);
      case "back":
        return this.#fulfil(this.#view.handle(command, bodyOf(size)) ?? { kind: "back" });
      default:
        return this.#fulfil(this.#view.handle(command, bodyOf(size)));
    }
  }

  #go(tab: number): null {
    this.#over.length = 0;
    this.#tab = tab;
    return null;
  }

  #fulfil(wish: Wish | null): Deed | null {
    switch (wish?.kind) {
      case "open":
        this.#over.push(wish.view);
        return null;
      case "back":
        this.#over.pop();
        return null;
      case "say":
        this.#said = wish.text;
        return null;
      case "ask":
        this.#asking = { label: wish.label, prompt: startPrompt(wish.text), changed: wish.changed, done: wish.done };
        return null;
      case "copy":
      case "show":
      case "wait":
        return wish;
      default:
        return null;
    }
  }

  #type(key: string): Deed | null {
    const asking = this.#asking as Asking;
    if (key === "ctrl+c" || key === "escape") {
      this.#asking = null;
      asking.changed?.("");
      return null;
    }
    if (key === "enter") {
      this.#asking = null;
      return this.#fulfil(asking.done(asking.prompt.text));
    }
    asking.prompt = typeKey(asking.prompt, key);
    asking.changed?.(asking.prompt.text);
    return null;
  }

  #click(at: Cell, size: Size): Deed | null {
    if (at.row === 0) {
      const tab = this.#tabAt(at.column, size.columns);
      return tab === null ? null : this.#go(tab);
    }
    if (at.row >= size.rows - 1) return null;
    return this.#fulfil(this.#view.click?.({ column: at.column, row: at.row - 1 }, bodyOf(size)) ?? null);
  }

  #tabAt(column: number, columns: number): number | null {
    const begin = this.#lead(columns).length;
    let end = begin;
    for (const [index, tab] of this.#tabs.entries()) {
      end += tab.title.length + TAB_KEY;
      if (column >= begin && column < end) return index;
    }
    return null;
  }

  /** Our name, where there is room for it beside the tabs. */
  #lead(columns: number): string {
    const tabs = this.#tabs.reduce((sum, { title }) => sum + title.length + TAB_KEY, 0);
    return NAME.length + tabs <= columns ? NAME : "";
  }

  #bar(columns: number): Line {
    const tabs = this.#tabs.flatMap((tab, index) => {
      const isFront = index === this.#tab;
      return line(span(` ${index + 1}`, isFront ? "key" : "faint"), span(` ${tab.title}`, isFront ? "strong" : "text"));
    });
    const left = [span(this.#lead(columns), "accent"), ...tabs];
    const right = line(span(` ${this.subject} `, "faint"));
    const isRoomy = lineWidth(left) + lineWidth(right) <= columns;
    return onGround("bar", isRoomy ? spread(left, right, columns) : inColumns(left, columns));
  }

  #foot(columns: number): { foot: Line; column: number | null } {
    if (this.#asking) {
      const { label, prompt } = this.#asking;
      const lead = line(span(` ${label} `, "key"));
      const room = columns - lineWidth(lead) - 1;
      // The end of what does not fit is what one types at.
      const skipped = Math.max(0, prompt.cursor - room + 1);
      const typed = span([...prompt.text].slice(skipped).join(""), "strong");
      const before = lineWidth([span([...prompt.text].slice(skipped, prompt.cursor).join(""))]);
      return { foot: inColumns([...lead, typed], columns), column: lineWidth(lead) + before };
    }
    if (this.#said !== null) return { foot: inColumns(line(span(` ${this.#said}`, "match")), columns), column: null };
    return { foot: this.#keys(columns), column: null };
  }

  /** The keys of the screen, as many as there is room for; help and quit always. */
  #keys(columns: number): Line {
    const hinted = bindingsOf(this.#view.name).filter(({ hint }) => hint !== undefined);
    const words = hinted.map(({ command, keys, hint }) => {
      const shownKeys = command === "down" ? "↑↓" : keyLabel(keys[0] ?? "");
      return {
        isLast: command === "help" || command === "quit",
        spans: line(span(` ${shownKeys}`, "key"), span(` ${hint} `, "faint")),
      };
    });
    const last = words.filter(({ isLast }) => isLast).flatMap(({ spans }) => spans);
    let room = columns - lineWidth(last);
    const first = words
      .filter(({ isLast }) => !isLast)
      .filter(({ spans }) => {
        room -= lineWidth(spans);
        return room >= 0;
      })
      .flatMap(({ spans }) => spans);
    return spread(first, last, columns);
  }
}

const NAME = " ktally ";
/** A space, the number, a space. */
const TAB_KEY = 3;

/** What is left for a screen between the upper and the lower edge. */
function bodyOf({ columns, rows }: Size): Size {
  return { columns, rows: rows - 2 };
}
