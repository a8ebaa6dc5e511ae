/** What a screen is to the application: something that draws itself, takes commands, and may ask for more. */
import type { Line, Size } from "./drawing/picture.js";
import type { ScreenName } from "./keys.js";

export interface View {
  /** Selects the keys. */
  readonly name: ScreenName;
  /** For the upper edge. */
  readonly title: string;
  draw(size: Size): Line[];
  /** A command of the key table; null when there is nothing more to do. */
  handle(command: string, size: Size): Wish | null;
  /** A press of the mouse, in cells of the screen's own picture. */
  click?(at: { column: number; row: number }, size: Size): Wish | null;
  /** The store has changed: read anew what is shown. */
  refresh?(): void;
}

/** What a screen cannot do itself. */
export type Wish =
  | { kind: "open"; view: View }
  | { kind: "back" }
  | { kind: "say"; text: string }
  | { kind: "copy"; text: string; what: string }
  /** For another program: the pager or the editor. */
  | { kind: "show"; text: string; with: "pager" | "editor" }
  /** To be drawn again then. */
  | { kind: "wait"; until: Promise<void> }
  | { kind: "ask"; label: string; text: string; changed?: (text: string) => void; done: (text: string) => Wish | null };
