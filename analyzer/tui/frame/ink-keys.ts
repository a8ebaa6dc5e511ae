/** Keys as ink tells them, by the names of the key table: `up`, `enter`, `ctrl+c`, `shift+tab`, characters as they are. */
import type { Key } from "ink";

const NAMES: readonly (readonly [is: keyof Key, name: string])[] = [
  ["upArrow", "up"],
  ["downArrow", "down"],
  ["leftArrow", "left"],
  ["rightArrow", "right"],
  ["pageUp", "pageup"],
  ["pageDown", "pagedown"],
  ["home", "home"],
  ["end", "end"],
  ["return", "enter"],
  ["escape", "escape"],
  ["tab", "tab"],
  ["backspace", "backspace"],
  ["delete", "delete"],
];
const CONTROLS: Readonly<Record<string, string>> = { "\r": "enter", "\n": "enter", "\t": "tab", "\b": "backspace" };

/** What was pressed; several keys where they came at once. */
export function keysOf(input: string, key: Key): string[] {
  const named = NAMES.find(([is]) => key[is] === true);
  const modifiers = `${key.ctrl ? "ctrl+" : ""}${key.shift ? "shift+" : ""}`;
  if (named) return [`${modifiers}${named[1]}`];
  if (key.ctrl) return [`ctrl+${input}`];
  return [...input].map((character) => CONTROLS[character] ?? controlName(character));
}

function controlName(character: string): string {
  const code = character.charCodeAt(0);
  return code < 0x20 ? `ctrl+${String.fromCharCode(code + 0x60)}` : character;
}
