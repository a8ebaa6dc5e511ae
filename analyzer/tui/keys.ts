/** All keys of all screens, in one table: what they are called, and what the footer and the help say of them. */

export type ScreenName =
  | "findings"
  | "object"
  | "timeline"
  | "registrations"
  | "coverage"
  | "live"
  | "balance"
  | "find"
  | "events"
  | "sql"
  | "help"
  | "text";

export interface Binding {
  command: string;
  keys: readonly string[];
  help: string;
  /** Said in the footer, where there is room. */
  hint?: string;
  /** Screens that know the command; without it: all. */
  on?: readonly ScreenName[];
}

const LISTS: readonly ScreenName[] = [
  "findings",
  "object",
  "timeline",
  "registrations",
  "coverage",
  "live",
  "balance",
  "find",
  "events",
  "sql",
  "help",
  "text",
];
const LANES: readonly ScreenName[] = ["object", "timeline", "registrations"];

/** In the order of the help. The first keys of a binding are shown. */
export const BINDINGS: readonly Binding[] = [
  { command: "up", keys: ["up", "k", "wheel-up"], help: "one line up", on: LISTS },
  { command: "down", keys: ["down", "j", "wheel-down"], help: "one line down", hint: "move", on: LISTS },
  { command: "page-up", keys: ["pageup", "ctrl+b"], help: "one page up", on: LISTS },
  { command: "page-down", keys: ["pagedown", "ctrl+f", " "], help: "one page down", on: LISTS },
  { command: "first", keys: ["home", "g"], help: "to the first line", on: LISTS },
  { command: "last", keys: ["end", "G"], help: "to the last line", on: LISTS },
  {
    command: "open",
    keys: ["enter"],
    help: "open what is selected",
    hint: "open",
    on: ["findings", "live", "timeline", "find", "events"],
  },
  { command: "unfold", keys: ["right", "l", "enter"], help: "unfold", hint: "unfold", on: ["balance"] },
  { command: "unfold", keys: ["right", "l"], help: "unfold", on: ["findings"] },
  { command: "fold", keys: ["left", "h"], help: "fold", hint: "fold", on: ["findings", "balance"] },
  {
    command: "stack",
    keys: ["enter"],
    help: "show or hide the stack of the selected event",
    hint: "stack",
    on: ["object"],
  },
  {
    command: "culprit",
    keys: ["c"],
    help: "to the next event that a finding rests on: the culprit first",
    hint: "culprit",
    on: ["object"],
  },
  {
    command: "unpaired",
    keys: ["u"],
    help: "to the next get that no put gives back",
    hint: "unpaired get",
    on: ["object"],
  },
  { command: "loss", keys: ["x"], help: "to the next place where events were lost", hint: "loss", on: ["object"] },
  { command: "next-class", keys: ["]", "n"], help: "objects of the next class", hint: "next class", on: ["timeline"] },
  { command: "previous-class", keys: ["[", "N"], help: "objects of the class before", on: ["timeline"] },
  {
    command: "balance",
    keys: ["b"],
    help: "gets against puts of this object by call site",
    hint: "balance",
    on: ["object"],
  },
  { command: "next-class", keys: ["]", "n"], help: "only the next class", hint: "next class", on: ["balance"] },
  { command: "previous-class", keys: ["[", "N"], help: "only the class before, or all", on: ["balance"] },
  { command: "unfold-all", keys: ["+", "="], help: "unfold everything", hint: "unfold all", on: ["balance"] },
  { command: "fold-all", keys: ["-"], help: "fold everything", on: ["balance"] },
  {
    command: "pause",
    keys: ["p"],
    help: "hold the picture, or let it go on; ← and → go back and forth in time",
    hint: "hold",
    on: ["live"],
  },
  {
    command: "next-orphan",
    keys: ["n"],
    help: "to the next registration that outlived its owner",
    hint: "next bug",
    on: ["registrations"],
  },
  {
    command: "stack",
    keys: ["s"],
    help: "show or hide the stack of the selected event",
    hint: "stack",
    on: ["events"],
  },
  { command: "zoom-in", keys: ["+", "="], help: "closer, around what is selected", hint: "closer", on: LANES },
  { command: "zoom-out", keys: ["-"], help: "farther", on: LANES },
  { command: "zoom-all", keys: ["0"], help: "the whole span of time", on: LANES },
  { command: "zoom-selected", keys: ["z"], help: "just the life of what is selected", on: ["timeline"] },
  { command: "pan-left", keys: ["left", "h"], help: "earlier, or columns further left", on: [...LANES, "live", "sql"] },
  {
    command: "pan-right",
    keys: ["right", "l"],
    help: "later, or columns further right",
    hint: "pan",
    on: [...LANES, "live", "sql"],
  },
  { command: "story-down", keys: ["J", "shift+down", "ctrl+d"], help: "scroll the story down", on: ["findings"] },
  { command: "story-up", keys: ["K", "shift+up", "ctrl+u"], help: "scroll the story up", on: ["findings"] },
  { command: "filter", keys: ["/"], help: "show only lines with these words", hint: "filter", on: ["findings"] },
  { command: "filter", keys: ["/"], help: "what to look for", hint: "search", on: ["find"] },
  { command: "sql", keys: [":", "/"], help: "type a statement", hint: "SQL", on: ["sql"] },
  { command: "sort", keys: ["s"], help: "sort by the next column", hint: "sort", on: ["findings"] },
  { command: "reverse", keys: ["S"], help: "sort the other way round", on: ["findings"] },
  {
    command: "group",
    keys: ["t"],
    help: "group by root cause, or every finding on its own",
    hint: "group",
    on: ["findings"],
  },
  {
    command: "copy",
    keys: ["y"],
    help: "copy as text to the clipboard",
    hint: "copy",
    on: ["findings", "object", "balance", "coverage", "sql"],
  },
  { command: "copy-json", keys: ["Y"], help: "copy as JSON to the clipboard", on: ["findings", "sql"] },
  {
    command: "page",
    keys: ["v"],
    help: "view in $PAGER",
    hint: "pager",
    on: ["findings", "object", "balance", "coverage", "sql", "help", "text"],
  },
  { command: "edit", keys: ["e"], help: "open in $EDITOR", on: ["findings", "object", "text"] },
  {
    command: "back",
    keys: ["escape", "backspace"],
    help: "give up a filter; back to the screen before",
    hint: "back",
  },
  { command: "next-tab", keys: ["tab"], help: "next screen" },
  { command: "previous-tab", keys: ["shift+tab"], help: "screen before" },
  { command: "redraw", keys: ["ctrl+l"], help: "draw the screen anew" },
  { command: "suspend", keys: ["ctrl+z"], help: "suspend ktally (fg brings it back)" },
  { command: "help", keys: ["?"], help: "this help", hint: "help" },
  { command: "quit", keys: ["q", "ctrl+c"], help: "quit", hint: "quit" },
];

/** The binding of a key on a screen. */
export function bindingFor(screen: ScreenName, key: string): Binding | undefined {
  return BINDINGS.find(({ on, keys }) => (on === undefined || on.includes(screen)) && keys.includes(key));
}

export function bindingsOf(screen: ScreenName): Binding[] {
  return BINDINGS.filter(({ on }) => on === undefined || on.includes(screen));
}

const SYMBOLS: Record<string, string> = {
  up: "↑",
  down: "↓",
  left: "←",
  right: "→",
  enter: "⏎",
  escape: "esc",
  " ": "space",
  pageup: "PgUp",
  pagedown: "PgDn",
};

/** A key as people write it. */
export function keyLabel(key: string): string {
  return (
    SYMBOLS[key] ??
    key.replace(/^ctrl\+/, "^").replace(/^shift\+(.*)$/, (_, rest: string) => `⇧${SYMBOLS[rest] ?? rest}`)
  );
}
