/** Who holds an object, in words: the answer of `ktally why` from a snapshot. */
import { describeHolder, type Held } from "../snapshot/holders.js";
import { harmless } from "./harmless.js";
import { type Style, styleFor } from "./style.js";

const INDENT = "  ";
const LABEL = 12;

export function heldText(answers: readonly Held[], color: boolean): string {
  const style = styleFor(color);
  return `${answers.map((held) => heldLines(held, style).join("\n")).join("\n\n")}\n`;
}

function heldLines(held: Held, style: Style): string[] {
  const count = held.refs === null ? "" : `   ${held.refs} ${held.refs === 1 ? "reference" : "references"}`;
  const lines = [`${style.strong(harmless(held.label))}${count}`, ""];
  for (const { comm, tid, stack } of held.waiters) {
    lines.push(...labelled(style, "waits", `${comm} (${tid}) in ${stack.slice(0, 4).join(" ← ")}`));
  }
  for (const holder of held.holders) lines.push(...labelled(style, "held by", describeHolder(holder)));
  for (const own of held.own) lines.push(...labelled(style, "held by", own));
  if (held.unexplained !== null && held.unexplained > 0) {
    lines.push(...labelled(style, "and", `${held.unexplained} more that no file of a process explains; perhaps`));
    for (const text of held.perhaps) lines.push(`${INDENT}${" ".repeat(LABEL)}· ${harmless(text)}`);
  } else {
    for (const text of held.perhaps) lines.push(...labelled(style, "but", text));
  }
  if (held.unexplained !== null && held.unexplained < 0) {
    lines.push(...labelled(style, "but", `its files and users are ${-held.unexplained} more than its counter says`));
  }
  if (held.holders.length + held.own.length === 0) {
    lines.push(...labelled(style, "held by", "no file that can be seen"));
  }
  for (const [index, what] of held.close.entries()) {
    lines.push(...labelled(style, index === 0 ? "to close" : "then", what));
  }
  return lines;
}

function labelled(style: Style, label: string, text: string): string[] {
  return [`${INDENT}${style.label(label.padEnd(LABEL))}${harmless(text)}`];
}
