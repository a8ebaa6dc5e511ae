/** Columns that text takes on a terminal. */
import { eastAsianWidth } from "get-east-asian-width";
import { harmless } from "../../report/harmless.js";

/** ASCII, and the lines, blocks, arrows and dots that the screens draw with. */
const NARROW = /^[\x20-\x7e·×…\u2190-\u21ff\u2500-\u25ff\u2800-\u28ff]*$/;

/** Marks, format characters and what else has no columns of its own, or columns that nobody knows. */
const UNSEEN = /[\p{M}\p{C}\p{Default_Ignorable_Code_Point}]/gu;

const graphemes = new Intl.Segmenter();

/**
 * Text that takes a known number of columns and that no terminal acts on: controls are escaped, and so is what would
 * join the character before it.
 */
export function shown(text: string): string {
  if (NARROW.test(text)) return text;
  let all = "";
  for (const { segment } of graphemes.segment(harmless(text).replace(UNSEEN, escaped))) {
    const [first = "", ...joined] = segment;
    all += first + joined.map(escaped).join("");
  }
  return all;
}

function escaped(character: string): string {
  return `\\u${(character.codePointAt(0) ?? 0).toString(16)}`;
}

/** Columns of a text made by `shown`. */
export function widthOf(text: string): number {
  if (NARROW.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += widthOfCharacter(character);
  return width;
}

/** As much of the text as fits in so many columns. */
export function cut(text: string, columns: number): string {
  if (NARROW.test(text)) return text.slice(0, Math.max(0, columns));
  let width = 0;
  let kept = "";
  for (const character of text) {
    width += widthOfCharacter(character);
    if (width > columns) break;
    kept += character;
  }
  return kept;
}

function widthOfCharacter(character: string): number {
  const code = character.codePointAt(0) ?? 0;
  return code < 0x1100 ? 1 : eastAsianWidth(code);
}
