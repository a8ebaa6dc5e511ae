/** Pictures as ink's components: a text for each row, drawn again only when the row changed. */
import { Text } from "ink";
import { createContext, memo, useContext } from "react";
import type { Line } from "../drawing/picture.js";
import { paint, type Theme, themeFor } from "../drawing/theme.js";

export const ThemeContext = createContext<Theme>(themeFor("none", "unknown"));

export function Row({ line }: { line: Line }) {
  return <Painted text={paint(line, useContext(ThemeContext))} />;
}

export function Rows({ lines }: { lines: readonly Line[] }) {
  // biome-ignore lint/suspicious/noArrayIndexKey: a row of the screen is its place.
  return lines.map((line, row) => <Row key={row} line={line} />);
}

const Painted = memo(({ text }: { text: string }) => {
  // A text of nothing would have no height.
  return <Text wrap="truncate">{text === "" ? " " : text}</Text>;
});
