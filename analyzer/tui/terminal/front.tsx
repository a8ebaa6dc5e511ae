/** The screen as ink draws it: one component per row, drawn again only when the row changed. */
import { Box, Text, useInput } from "ink";
import { memo } from "react";
import type { Line } from "../drawing/picture.js";
import { paint, type Theme } from "../drawing/theme.js";
import { keysOf } from "./ink-keys.js";

export interface FrontProps {
  lines: readonly Line[];
  theme: Theme;
  onKeys: (keys: readonly string[]) => void;
}

export function Front({ lines, theme, onKeys }: FrontProps) {
  useInput((input, key) => onKeys(keysOf(input, key)));
  return (
    <Box flexDirection="column">
      {lines.map((line, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a row of the screen is its place.
        <Row key={row} text={paint(line, theme)} />
      ))}
    </Box>
  );
}

const Row = memo(({ text }: { text: string }) => {
  // A text of nothing would have no height.
  return <Text wrap="truncate">{text === "" ? " " : text}</Text>;
});
