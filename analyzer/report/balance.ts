/** The balance tree in words. */
import type { BalancePair, BalanceSite } from "../store/balance.js";
import { harmless } from "./harmless.js";
import { type Style, styleFor } from "./style.js";

/** Stacks per call site, and frames per stack, that are shown. */
const STACKS = 3;
const FRAMES = 8;

/** A line per pair of call sites, with the stacks of those that do not come to nothing. */
export function balanceReport(pairs: readonly BalancePair[], title: string, color: boolean): string {
  const style = styleFor(color);
  if (pairs.length === 0) return `${harmless(title)}: no get or put was recorded\n`;
  const lines = [style.strong(harmless(title))];
  for (const name of [...new Set(pairs.map((pair) => pair.class))]) {
    const own = pairs.filter((pair) => pair.class === name);
    const gets = own.reduce((sum, pair) => sum + pair.gets, 0);
    const puts = own.reduce((sum, pair) => sum + pair.puts, 0);
    lines.push("", `${style.label(name)}   ${gets} taken, ${puts} given back, ${signed(gets - puts)}`);
    for (const pair of own) lines.push(...pairLines(pair, style));
  }
  return `${lines.join("\n")}\n`;
}

function pairLines(pair: BalancePair, style: Style): string[] {
  const side = (does: "get" | "put") =>
    pair.sites
      .filter((site) => site.does === does)
      .map(({ name, count }) => `${harmless(name)} (${count})`)
      .join(", ");
  const gets = side("get");
  const puts = side("put");
  const words =
    gets === "" ? `given back, never seen taken: ${puts}` : `${gets}  ↔  ${puts === "" ? "never given back" : puts}`;
  const line = `  ${signed(pair.net).padStart(4)}  ${words}`;
  if (pair.net === 0) return [style.faint(line)];
  return [
    style.verdict(pair.net > 0 ? "proven" : "suspected", line),
    ...pair.sites.flatMap((site) => stackLines(site, style)),
  ];
}

function stackLines({ does, stacks }: BalanceSite, style: Style): string[] {
  const known = stacks.filter(({ frames }) => frames.length > 0);
  const lines = known.slice(0, STACKS).map(({ count, frames }) => {
    const shown = frames.slice(0, FRAMES).map(harmless).join(" ← ");
    return style.faint(`          ${does} ${count}  ${shown}${frames.length > FRAMES ? " ← …" : ""}`);
  });
  if (known.length > STACKS) lines.push(style.faint(`          … ${known.length - STACKS} more stacks`));
  return lines;
}

function signed(value: number): string {
  return value > 0 ? `+${value}` : String(value);
}
