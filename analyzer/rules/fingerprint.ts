import { createHash } from "node:crypto";
import { isFunction } from "../decode/call-chain.js";
import { isCounting } from "../lifecycle/call-sites.js";
import type { Finding } from "./finding.js";

/**
 * The same for the same bug in another run, boot or kernel: class, rule and functions (design, section 8). Never
 * addresses, nor what depends on how well it was seen (verdict, variant). `functions`: the culprit's own and those that
 * called it, innermost first.
 */
export function fingerprint(finding: Finding, functions: readonly string[]): string {
  const { class: entry, culprit } = finding;
  const caller = isCounting(entry, culprit.function) ? functions.find((name) => name !== culprit.function) : undefined;
  const text = [
    entry.class,
    finding.rule,
    culprit.function,
    caller !== undefined && isFunction(caller) ? caller : "",
  ].join("\n");
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
