/** The counter over a finding's story, as a step line (SVG): each operation at its own place, in order. */
import type { EvidenceView } from "../store/audit-view.js";
import { escapeMarkup } from "./markup.js";
import { seconds } from "./text.js";

const STEP = 56;
const HEIGHT = 120;
const LEFT = 36;
const TOP = 14;
/** A longer story has no room in a line. */
const MOST_STEPS = 64;

/** Empty when fewer than two events tell the counter. */
export function counterPlot(events: readonly EvidenceView[]): string {
  const steps = events
    .flatMap(({ refs, delta, time_ns, call }) =>
      refs === null ? [] : [{ before: refs, after: refs + (delta ?? 0), time_ns, call }],
    )
    .slice(-MOST_STEPS);
  if (steps.length < 2) return "";
  const values = steps.flatMap(({ before, after }) => [before, after]);
  const low = Math.min(0, ...values);
  const high = Math.max(1, ...values);
  const y = (value: number) => TOP + ((high - value) / (high - low)) * HEIGHT;
  const x = (index: number) => LEFT + (index + 0.5) * STEP;
  const width = LEFT + steps.length * STEP;
  const path = steps.map(({ before, after }, index) => {
    const from = index === 0 ? `M${LEFT} ${round(y(before))}` : `V${round(y(before))}`;
    return `${from}H${round(x(index))}V${round(y(after))}`;
  });
  const dots = steps.map(({ after, time_ns, call }, index) => {
    const label = escapeMarkup(`${seconds(time_ns)}  ${call}  → ${after}`);
    return `<circle cx="${round(x(index))}" cy="${round(y(after))}" r="3.5"><title>${label}</title></circle>
<text x="${round(x(index) + 6)}" y="${round(y(after) - 5)}">${after}</text>`;
  });
  return `<div class="wide"><svg class="counter" width="${width}" height="${HEIGHT + 2 * TOP}" role="img" aria-label="the counter over the story">
<line x1="${LEFT}" x2="${width}" y1="${round(y(0))}" y2="${round(y(0))}"/><text x="4" y="${round(y(0) + 4)}">0</text>
<text x="${LEFT}" y="${round(y(steps[0]?.before ?? 0) - 5)}">${steps[0]?.before}</text>
<path d="${path.join("")}H${width}"/>
${dots.join("\n")}
</svg></div>`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
