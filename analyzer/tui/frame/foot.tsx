/** The lower edge: what the user is asked, or was told, or else the keys of the screen. */
import { inColumns, type Line, line, lineWidth, span, spread } from "../drawing/picture.js";
import { bindingsOf, keyLabel, type ScreenName } from "../keys.js";
import type { PromptState } from "../prompt-state.js";
import { Row } from "./row.js";

/** What the user is asked for. */
export interface Question {
  label: string;
  prompt: PromptState;
}

export interface FootProps {
  screen: ScreenName;
  asking: Question | null;
  said: string | null;
  columns: number;
}

export function Foot({ screen, asking, said, columns }: FootProps) {
  if (asking) return <Prompt asking={asking} columns={columns} />;
  if (said !== null) return <Row line={inColumns(line(span(` ${said}`, "match")), columns)} />;
  return <Keys screen={screen} columns={columns} />;
}

function Prompt({ asking, columns }: { asking: Question; columns: number }) {
  const typed = [...asking.prompt.text].slice(skippedOf(asking, columns)).join("");
  return <Row line={inColumns([...leadOf(asking), span(typed, "strong")], columns)} />;
}

/** The column in which the user types. */
export function cursorOf(asking: Question, columns: number): number {
  const { text, cursor } = asking.prompt;
  const before = [...text].slice(skippedOf(asking, columns), cursor).join("");
  return lineWidth(leadOf(asking)) + lineWidth([span(before)]);
}

function leadOf({ label }: Question): Line {
  return line(span(` ${label} `, "key"));
}

/** Characters that are not shown: the end of what does not fit is what one types at. */
function skippedOf(asking: Question, columns: number): number {
  return Math.max(0, asking.prompt.cursor - (columns - lineWidth(leadOf(asking)) - 1) + 1);
}

/** As many as there is room for; help and quit always. */
function Keys({ screen, columns }: { screen: ScreenName; columns: number }) {
  const words = bindingsOf(screen)
    .filter(({ hint }) => hint !== undefined)
    .map(({ command, keys, hint }) => ({
      isLast: command === "help" || command === "quit",
      spans: line(span(` ${command === "down" ? "↑↓" : keyLabel(keys[0] ?? "")}`, "key"), span(` ${hint} `, "faint")),
    }));
  const last = words.filter(({ isLast }) => isLast).flatMap(({ spans }) => spans);
  let room = columns - lineWidth(last);
  const first = words
    .filter(({ isLast }) => !isLast)
    .filter(({ spans }) => {
      room -= lineWidth(spans);
      return room >= 0;
    })
    .flatMap(({ spans }) => spans);
  return <Row line={spread(first, last, columns)} />;
}
