/** Frames as ink draws them, for holding one ink against another. */
import { Box, render } from "ink";
import type { Line, Size } from "../drawing/picture.js";
import { themeFor } from "../drawing/theme.js";
import { Rows, ThemeContext } from "../frame/row.js";
import { Screen } from "../terminal/screen.js";

/** What ink makes of pictures that follow each other. */
export function framesOf(pictures: readonly (readonly Line[])[], size: Size): string[] {
  const frames: string[] = [];
  const screen = new Screen({ ...size, write: () => true });
  screen.write = (frame) => {
    frames.push(frame);
    return true;
  };
  const theme = themeFor("256", "dark");
  const stdin = {
    isTTY: true,
    addListener() {},
    removeListener() {},
    setRawMode() {},
    setEncoding() {},
    ref() {},
    unref() {},
  };
  const front = (lines: readonly Line[]) => (
    <ThemeContext.Provider value={theme}>
      <Box flexDirection="column">
        <Rows lines={lines} />
      </Box>
    </ThemeContext.Provider>
  );
  const options = { stdout: screen as never, stdin: stdin as never, patchConsole: false, debug: true };
  const ink = render(front([]), options);
  frames.length = 0;
  for (const picture of pictures) ink.rerender(front(picture));
  const drawn = [...frames];
  ink.unmount();
  return drawn;
}
