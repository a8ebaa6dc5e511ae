/** Lines to read: the help, and whatever else is long. */
import { framed, type Line, line, plain, type Size, span } from "../drawing/picture.js";
import { bindingsOf, keyLabel, type ScreenName } from "../keys.js";
import type { View, Wish } from "../screen-type.js";

export class TextScreen implements View {
  readonly name: ScreenName = "text";
  readonly title: string;
  readonly #lines: (columns: number) => readonly Line[];
  #top = 0;

  /** `lines` makes the text for so many columns. */
  constructor(title: string, lines: (columns: number) => readonly Line[]) {
    this.title = title;
    this.#lines = lines;
  }

  draw(size: Size): Line[] {
    const lines = this.#lines(size.columns - 4);
    this.#top = Math.max(0, Math.min(this.#top, lines.length - (size.rows - 2)));
    const shown = lines.slice(this.#top, this.#top + size.rows - 2).map((content) => [span(" "), ...content]);
    const last = this.#top + shown.length;
    const note = lines.length > shown.length ? line(span(`${last}/${lines.length}`, "faint")) : [];
    return framed({ title: line(span(this.title, "accent")), note, isFocused: true }, shown, size);
  }

  handle(command: string, size: Size): Wish | null {
    const page = Math.max(1, size.rows - 3);
    const moves: Record<string, number> = {
      up: this.#top - 1,
      down: this.#top + 1,
      "page-up": this.#top - page,
      "page-down": this.#top + page,
      first: 0,
      last: Number.MAX_SAFE_INTEGER,
    };
    const to = moves[command];
    if (to !== undefined) this.#top = Math.max(0, to);
    if (command !== "page" && command !== "edit") return null;
    return { kind: "show", text: `${plain(this.#lines(100))}\n`, with: command === "page" ? "pager" : "editor" };
  }
}

/** The keys of a screen, in words. */
export class HelpScreen extends TextScreen {
  override readonly name = "help";

  constructor(of: ScreenName, title: string) {
    super(`Help: ${title.replace(/^Help: /, "")}`, () => {
      const bindings = bindingsOf(of);
      const own = bindings.filter((binding) => binding.on !== undefined);
      const common = bindings.filter((binding) => binding.on === undefined);
      return [
        line(span(title, "strong")),
        ...own.map(keyLine),
        [],
        line(span("Everywhere", "strong")),
        line(span("  1 2 3 …".padEnd(WIDTH), "key"), "the screen of that number"),
        ...common.map(keyLine),
      ];
    });
  }
}

const WIDTH = 24;

function keyLine({ keys, help }: { keys: readonly string[]; help: string }): Line {
  const labels = keys.filter((key) => !key.startsWith("wheel")).map(keyLabel);
  return line(span(`  ${labels.join(" ")}`.padEnd(WIDTH), "key"), help);
}
