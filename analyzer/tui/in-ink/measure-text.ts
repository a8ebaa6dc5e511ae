/** In the place of ink's own `measure-text.js`: the same, without a memory of all texts that grows for ever. */
import stringWidth from "./string-width.js";

export default function measureText(text: string): { width: number; height: number } {
  if (text === "") return { width: 0, height: 0 };
  const lines = text.split("\n");
  return { width: Math.max(...lines.map(stringWidth)), height: lines.length };
}
