/**
 * The application around the screens: which of them is in front, what the user types, what is said. It knows neither
 * files nor the terminal; it takes keys, and `frame/` draws it.
 */
import type { Size } from "./drawing/picture.js";
import { tabAt } from "./frame/bar.js";
import { cursorOf, type Question } from "./frame/foot.js";
import { bindingFor } from "./keys.js";
import { startPrompt, typeKey } from "./prompt-state.js";
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

interface Asking extends Question {
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

  get titles(): string[] {
    return this.#tabs.map(({ title }) => title);
  }

  /** Number of the tab in front. */
  get tab(): number {
    return this.#tab;
  }

  get asking(): Question | null {
    return this.#asking;
  }

  get said(): string | null {
    return this.#said;
  }

  /** Where the user types; null: nowhere. */
  cursor(size: Size): Cell | null {
    return this.#asking && { row: size.rows - 1, column: cursorOf(this.#asking, size.columns) };
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
    const binding = bindingFor(this.view.name, key);
    return binding ? this.#command(binding.command, size) : null;
  }

  /** Text all at once. Where nobody asks for text it would press keys at random. */
  paste(text: string): null {
    // A line end would send off what one still wants to look at.
    if (this.#asking) for (const character of text.replace(/[\r\n\t]+/g, " ")) this.#type(character);
    return null;
  }

  /** The screen in front. */
  get view(): View {
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
        return this.#fulfil({ kind: "open", view: new HelpScreen(this.view.name, this.view.title) });
      case "next-tab":
        return this.#go((this.#tab + 1) % this.#tabs.length);
      case "previous-tab":
        return this.#go((this.#tab + this.#tabs.length - 1) % this.#tabs.length);
      case "back":
        return this.#fulfil(this.view.handle(command, bodyOf(size)) ?? { kind: "back" });
      default:
        return this.#fulfil(this.view.handle(command, bodyOf(size)));
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
      const tab = tabAt(this.titles, at.column, size.columns);
      return tab === null ? null : this.#go(tab);
    }
    if (at.row >= size.rows - 1) return null;
    return this.#fulfil(this.view.click?.({ column: at.column, row: at.row - 1 }, bodyOf(size)) ?? null);
  }
}

/** What is left for a screen between the upper and the lower edge. */
export function bodyOf({ columns, rows }: Size): Size {
  return { columns, rows: rows - 2 };
}
