/**
 * In the place of ink's own `output.js`, where a frame comes together: rows of texts instead of a grid with an object
 * for every cell. Texts may stand beside each other in a row, not over each other: ktally's screens never do.
 */
import stringWidth from "./string-width.js";

interface Write {
  x: number;
  text: string;
}

type Transformer = (line: string, index: number) => string;

export default class Output {
  readonly #rows: Write[][];

  constructor({ height }: { width: number; height: number }) {
    this.#rows = Array.from({ length: height }, () => []);
  }

  write(x: number, y: number, text: string, { transformers }: { transformers: readonly Transformer[] }): void {
    for (const [index, line] of text.split("\n").entries()) {
      const transformed = transformers.reduce((result, transform) => transform(result, index), line);
      this.#rows[y + index]?.push({ x, text: transformed });
    }
  }

  /** Nothing of ktally's is wider or higher than the box that it stands in. */
  clip(): void {}
  unclip(): void {}

  get(): { output: string; height: number } {
    return { output: this.#rows.map(rowText).join("\n"), height: this.#rows.length };
  }
}

function rowText(writes: readonly Write[]): string {
  let row = "";
  let column = 0;
  for (const { x, text } of [...writes].sort((a, b) => a.x - b.x)) {
    if (x < column) throw new Error("two texts stand over each other on the screen");
    row += " ".repeat(x - column) + text;
    column = x + stringWidth(text);
  }
  return row.trimEnd();
}
