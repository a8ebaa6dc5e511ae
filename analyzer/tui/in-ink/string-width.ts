/** In the place of the package `string-width`: columns of text that `drawing/` made, colours and all. */
import { widthOf } from "../drawing/width.js";

const COLOURS = /\u001b\[[0-9;]*m/g;

export default function stringWidth(text: string): number {
  return widthOf(text.includes("\u001b") ? text.replace(COLOURS, "") : text);
}
