/** Whether the terminal's background is dark or light, as it says itself (xterm's OSC 11). */
import type { Background, Depth } from "../drawing/theme.js";

/** The background's colour; then what the terminal is (DA1), which all of them answer, and in this order. */
export const QUESTION = "\u001b]11;?\u001b\\\u001b[c";
/** How long the first picture waits for the answer; milliseconds. A later one changes the colours. */
export const PATIENCE = 40;
/** How long an answer is waited for before the terminal is the shell's again; milliseconds. */
export const LATEST_ANSWER = 300;

const COLOUR = /^\u001b\]11;rgba?:([0-9a-f]{1,4})\/([0-9a-f]{1,4})\/([0-9a-f]{1,4})/i;
const SPECIFICATION = /^\u001b\[\?[0-9;]*c$/;

/** Only where the answer changes something, and of terminals that take a question for one. */
export function mayAsk(depth: Depth, background: Background): boolean {
  return background === "unknown" && (depth === "256" || depth === "true");
}

/** What an answer says; "unknown" is the last one, null is an answer to something else. */
export function backgroundIn(answer: string): Background | null {
  const [, ...parts] = COLOUR.exec(answer) ?? [];
  if (parts.length === 0) return SPECIFICATION.test(answer) ? "unknown" : null;
  const [red = 0, green = 0, blue = 0] = parts.map((digits) => Number.parseInt(digits, 16) / (16 ** digits.length - 1));
  // How bright a colour seems (ITU-R BT.601).
  return 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 ? "light" : "dark";
}
