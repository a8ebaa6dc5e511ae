/** Colours by meaning, as far as the terminal has them. Nothing is told by colour alone. */
import type { Ground, Line, Meaning } from "./picture.js";

/** What the terminal can show. */
export type Depth = "none" | "16" | "256" | "true";
export type Background = "dark" | "light" | "unknown";

/** SGR parameters; the ground is added to what stands on it. */
export interface Theme {
  meanings: Record<Meaning, string>;
  grounds: Record<Ground, string>;
}

const PLAIN: Record<Meaning, string> = {
  text: "",
  strong: "1",
  faint: "",
  label: "",
  accent: "1",
  error: "1",
  warning: "",
  note: "",
  good: "",
  get: "",
  put: "",
  lost: "1",
  border: "",
  focus: "1",
  key: "1",
  match: "4",
};

/** The terminal's own sixteen colours: its user chose them to be read on its background, whatever that is. */
const SIXTEEN: Record<Meaning, string> = {
  text: "",
  strong: "1",
  faint: "2",
  label: "36",
  accent: "1;36",
  error: "1;31",
  warning: "33",
  note: "34",
  good: "32",
  get: "32",
  put: "35",
  lost: "1;33",
  border: "2",
  focus: "36",
  key: "1;36",
  match: "4;33",
};

type Colour = readonly [red: number, green: number, blue: number];

/** Hues by meaning, for a known background. */
const HUES: Record<"dark" | "light", Record<Exclude<Meaning, "text" | "strong">, Colour>> = {
  dark: {
    faint: [139, 148, 158],
    label: [121, 184, 200],
    accent: [110, 208, 224],
    error: [255, 123, 114],
    warning: [229, 179, 92],
    note: [121, 170, 255],
    good: [126, 199, 120],
    get: [126, 199, 120],
    put: [214, 143, 214],
    lost: [255, 166, 87],
    border: [74, 82, 92],
    focus: [86, 182, 194],
    key: [110, 208, 224],
    match: [255, 214, 102],
  },
  light: {
    faint: [101, 109, 118],
    label: [11, 105, 122],
    accent: [0, 98, 120],
    error: [190, 30, 35],
    warning: [145, 90, 0],
    note: [9, 88, 190],
    good: [26, 120, 50],
    get: [26, 120, 50],
    put: [140, 50, 150],
    lost: [170, 75, 0],
    border: [190, 196, 203],
    focus: [10, 125, 140],
    key: [0, 98, 120],
    match: [150, 80, 0],
  },
};
const GROUNDS: Record<"dark" | "light", Record<Ground, Colour>> = {
  dark: { selected: [38, 62, 84], bar: [30, 36, 44] },
  light: { selected: [205, 227, 245], bar: [234, 238, 242] },
};
const BOLD: ReadonlySet<Meaning> = new Set(["strong", "accent", "error", "lost", "key"]);

/** The theme for what a terminal can show. */
export function themeFor(depth: Depth, background: Background): Theme {
  if (depth === "none") return { meanings: PLAIN, grounds: { selected: "7", bar: "7" } };
  if (depth === "16" || background === "unknown") return { meanings: SIXTEEN, grounds: { selected: "7", bar: "7" } };
  const colour = depth === "true" ? trueColour : nearestOf256;
  const meanings = { ...PLAIN };
  for (const meaning of Object.keys(meanings) as Meaning[]) {
    const hue = meaning === "text" || meaning === "strong" ? null : HUES[background][meaning];
    const parts = [BOLD.has(meaning) ? "1" : "", meaning === "match" ? "4" : "", hue ? `38;${colour(hue)}` : ""];
    meanings[meaning] = parts.filter((part) => part !== "").join(";");
  }
  const { selected, bar } = GROUNDS[background];
  return { meanings, grounds: { selected: `48;${colour(selected)}`, bar: `48;${colour(bar)}` } };
}

function trueColour([red, green, blue]: Colour): string {
  return `2;${red};${green};${blue}`;
}

/** The nearest of the 6x6x6 cube and the 24 greys of a 256-colour terminal. */
function nearestOf256(wanted: Colour): string {
  const steps = [0, 95, 135, 175, 215, 255];
  let best = { index: 16, distance: Number.POSITIVE_INFINITY };
  const consider = (index: number, [red, green, blue]: Colour) => {
    const distance = (red - wanted[0]) ** 2 + (green - wanted[1]) ** 2 + (blue - wanted[2]) ** 2;
    if (distance < best.distance) best = { index, distance };
  };
  for (const [r, red] of steps.entries()) {
    for (const [g, green] of steps.entries()) {
      for (const [b, blue] of steps.entries()) consider(16 + 36 * r + 6 * g + b, [red, green, blue]);
    }
  }
  for (let grey = 0; grey < 24; grey++) consider(232 + grey, [8 + 10 * grey, 8 + 10 * grey, 8 + 10 * grey]);
  return `5;${best.index}`;
}

/** The line as the terminal gets it. */
export function paint(spans: Line, theme: Theme): string {
  let painted = "";
  for (const { text, as, on } of spans) {
    const sgr = [theme.meanings[as], on ? theme.grounds[on] : ""].filter((part) => part !== "").join(";");
    painted += sgr === "" ? text : `\u001b[${sgr}m${text}\u001b[0m`;
  }
  return painted;
}

/** What the environment says of the terminal (no-color.org; COLORTERM; TERM; COLORFGBG of rxvt and Konsole). */
export function depthOf(env: NodeJS.ProcessEnv): Depth {
  if (env.NO_COLOR || env.TERM === "dumb") return "none";
  if (/truecolor|24bit/i.test(env.COLORTERM ?? "")) return "true";
  if (/256color|kitty|alacritty|ghostty|wezterm|direct/i.test(env.TERM ?? "")) return "256";
  return "16";
}

export function backgroundOf(env: NodeJS.ProcessEnv): Background {
  if (env.KTALLY_BACKGROUND === "light" || env.KTALLY_BACKGROUND === "dark") return env.KTALLY_BACKGROUND;
  const ground = Number(env.COLORFGBG?.split(";").at(-1) ?? Number.NaN);
  if (!Number.isInteger(ground)) return "unknown";
  return ground === 7 || ground === 15 ? "light" : "dark";
}
