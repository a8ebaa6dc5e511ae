/** Copying through the terminal (OSC 52): it works over ssh, too. */

/** tmux passes it on itself when told to set clipboards; screen needs the sequence wrapped, in pieces. */
const SCREEN_PIECE = 76;

/** What makes the terminal put a text into its clipboard. */
export function clipboardSequence(text: string, env: NodeJS.ProcessEnv): string {
  const sequence = `\u001b]52;c;${Buffer.from(text, "utf8").toString("base64")}\u0007`;
  if (!env.STY) return sequence;
  const pieces = sequence.match(new RegExp(`[^]{1,${SCREEN_PIECE}}`, "g")) ?? [];
  return pieces.map((piece) => `\u001bP${piece}\u001b\\`).join("");
}
