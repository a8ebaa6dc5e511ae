import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildProgram } from "../../testing/program.js";
import { bundleTui } from "../bundle.js";
import { type Ground, inColumns, type Line, type Meaning, onGround, span } from "../drawing/picture.js";
import { framesOf } from "../testing/frames.js";

const size = { columns: 30, rows: 4 };
const meanings = fc.constantFrom<Meaning>("text", "strong", "faint", "error", "match", "border");
const grounds = fc.constantFrom<Ground | null>(null, "selected", "bar");
/** What traces may hold, and what screens draw with. */
const texts = fc.oneof(
  fc.string({ unit: "binary", maxLength: 12 }),
  fc.constantFrom("━┓░▶", "日本語", "❚❚ ⋮", "\u001b[31m", "\u{e0020}", "각", "👍🏽", "🇩🇪", "ｶﾞ"),
);
const lines = fc.tuple(fc.array(fc.tuple(texts, meanings), { maxLength: 4 }), grounds).map(([parts, ground]): Line => {
  const line = inColumns(
    parts.map(([text, as]) => span(text, as)),
    size.columns,
  );
  return ground === null ? line : onGround(ground, line);
});
const pictures = fc.array(fc.array(lines, { minLength: size.rows, maxLength: size.rows }), {
  minLength: 1,
  maxLength: 3,
});

describe("ink with our parts in it", () => {
  let program: ReturnType<typeof buildProgram>;
  let bundled: { framesOf: typeof framesOf };
  beforeAll(async () => {
    program = buildProgram();
    const tui = join(dirname(program.main), "..", "tui");
    await bundleTui(tui, "testing/frames.tsx");
    bundled = await import(join(tui, "frames.js"));
  });
  afterAll(() => program.remove());

  it("comes with the licences of all that is in it", () => {
    const notices = readFileSync(join(dirname(program.main), "..", "tui", "frames.js.licenses.txt"), "utf8");
    for (const name of ["ink 6", "react 19", "react-reconciler", "yoga-layout"]) {
      expect(notices).toMatch(new RegExp(`^${name}.* \\(MIT\\)\n\n.*(MIT License|Meta)`, "m"));
    }
  });

  it("draws what ink draws", () => {
    fc.assert(
      fc.property(pictures, (drawn) => {
        expect(bundled.framesOf(drawn, size).map(cells)).toEqual(framesOf(drawn, size).map(cells));
      }),
    );
  });
});

/** What closes a style: SGR's own numbers. */
const CLOSES: Readonly<Record<string, RegExp>> = { "22": /^[12]$/, "24": /^4$/, "27": /^7$/, "39": /^38/, "49": /^48/ };

/** Every character of a frame with the styles in force, however they were written. */
function cells(frame: string): string[] {
  let styles: string[] = [];
  return frame.split(/(\u001b\[[0-9;]*m|\n)/).flatMap((part) => {
    const codes = /^\u001b\[([0-9;]*)m$/.exec(part)?.[1];
    if (codes === undefined) return [...part].map((character) => [character, ...[...styles].sort()].join(" "));
    for (const code of codes.match(/[34]8;5;\d+|\d+/g) ?? []) {
      const closed = CLOSES[code];
      if (code === "0") styles = [];
      else if (closed) styles = styles.filter((style) => !closed.test(style));
      else styles = [...styles.filter((style) => style.slice(0, 3) !== code.slice(0, 3)), code];
    }
    return [];
  });
}
