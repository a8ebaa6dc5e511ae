/** Colours by meaning. Without colour every function returns its text as it is. */

export interface Style {
  strong(text: string): string;
  faint(text: string): string;
  label(text: string): string;
  verdict(verdict: string, text: string): string;
  state(state: string): string;
}

const CODES = { bold: "1", dim: "2", red: "31", green: "32", yellow: "33", cyan: "36" } as const;

export function styleFor(color: boolean): Style {
  const paint = (code: keyof typeof CODES, text: string) => (color ? `\u001b[${CODES[code]}m${text}\u001b[0m` : text);
  return {
    strong: (text) => paint("bold", text),
    faint: (text) => paint("dim", text),
    label: (text) => paint("cyan", text),
    verdict: (verdict, text) => paint(verdict === "suspected" ? "yellow" : "red", text),
    state: (state) => paint(state === "complete" ? "green" : "yellow", state),
  };
}
