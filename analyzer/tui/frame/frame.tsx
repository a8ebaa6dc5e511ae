/** The whole picture: the screen in front between its edges. */
import { Box, useInput } from "ink";
import { type App, bodyOf } from "../app.js";
import { inRows, type Size } from "../drawing/picture.js";
import type { Theme } from "../drawing/theme.js";
import { Bar } from "./bar.js";
import { Foot } from "./foot.js";
import { keysOf } from "./ink-keys.js";
import { Rows, ThemeContext } from "./row.js";

export interface FrameProps {
  app: App;
  size: Size;
  theme: Theme;
  onKeys: (keys: readonly string[]) => void;
}

export function Frame({ app, size, theme, onKeys }: FrameProps) {
  useInput((input, key) => onKeys(keysOf(input, key)));
  const { titles, tab, subject, view, asking, said } = app;
  const body = bodyOf(size);
  return (
    <ThemeContext.Provider value={theme}>
      <Box flexDirection="column">
        <Bar titles={titles} tab={tab} subject={subject} columns={size.columns} />
        <Rows lines={inRows(view.draw(body), body.rows)} />
        <Foot screen={view.name} asking={asking} said={said} columns={size.columns} />
      </Box>
    </ThemeContext.Provider>
  );
}
