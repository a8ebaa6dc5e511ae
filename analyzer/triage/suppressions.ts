/**
 * What the user knows already and does not want to hear again: lines `rule:class:function`, as LeakSanitizer has them
 * (clang's LeakSanitizer documentation, "Suppressions"). `*` stands for anything, `#` begins a comment.
 */
import type { Finding } from "../rules/finding.js";

export interface Suppression {
  /** As written; what findings name as the reason. */
  pattern: string;
  rule: string;
  class: string;
  function: string;
  /** File and line, for messages. */
  at: string;
  /** Findings that it has suppressed. */
  uses: number;
}

/** A line of a suppression file that cannot be meant: `file:line: what is wrong and what to write`. */
export class BadSuppression extends Error {
  override name = "BadSuppression";
}

/**
 * Reads a suppression file.
 * @throws BadSuppression at the first line that is none.
 */
export function parseSuppressions(text: string, file: string): Suppression[] {
  const suppressions: Suppression[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    const pattern = line.replace(/#.*/, "").trim();
    if (pattern === "") continue;
    const at = `${file}:${index + 1}`;
    const [rule, entry, name, ...more] = pattern.split(":").map((part) => part.trim());
    if (!rule || !entry || !name || more.length > 0) {
      throw new BadSuppression(`${at}: "${pattern}" is not rule:class:function; write * for any, as in leak:kvm:*`);
    }
    suppressions.push({ pattern, rule, class: entry, function: name, at, uses: 0 });
  }
  return suppressions;
}

/**
 * The first suppression that means the finding, counted as used. `functions`: the culprit's and those that called it;
 * as with LeakSanitizer, any of them may be the one that is named.
 */
export function suppressionOf(
  finding: Pick<Finding, "rule"> & { class: { class: string } },
  functions: readonly string[],
  suppressions: readonly Suppression[],
): Suppression | null {
  const found = suppressions.find(
    (one) =>
      matches(one.rule, finding.rule) &&
      matches(one.class, finding.class.class) &&
      functions.some((name) => matches(one.function, name)),
  );
  if (found) found.uses++;
  return found ?? null;
}

/** Whether a text is what a pattern with `*` describes, from beginning to end; in linear space and bounded time. */
export function matches(pattern: string, text: string): boolean {
  let at = 0;
  let star = -1;
  let resume = 0;
  let index = 0;
  while (index < text.length) {
    if (pattern[at] === "*") {
      star = at++;
      resume = index;
    } else if (at < pattern.length && pattern[at] === text[index]) {
      at++;
      index++;
    } else if (star >= 0) {
      at = star + 1;
      index = ++resume;
    } else {
      return false;
    }
  }
  while (pattern[at] === "*") at++;
  return at === pattern.length;
}
