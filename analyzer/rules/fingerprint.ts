import { createHash } from "node:crypto";
import type { ClassEntry } from "../../collectors/catalog/schema.js";
import type { Finding } from "./finding.js";

/**
 * The same for the same bug in another run, boot or kernel: class, rule and functions (design, section 8). Never
 * addresses, nor what depends on how well it was seen (verdict, variant). `functions`: the culprit's own and those that
 * called it, innermost first.
 */
export function fingerprint(finding: Finding, functions: readonly string[]): string {
  const { class: entry, culprit } = finding;
  const caller = isShared(entry, culprit.function)
    ? functions.find((name) => name !== culprit.function && !name.startsWith("0x"))
    : undefined;
  const text = [entry.class, finding.rule, culprit.function, caller ?? ""].join("\n");
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

/** A function that only counts (`kvm_get_kvm`): who calls it makes the difference. */
export function isShared(entry: ClassEntry, name: string): boolean {
  return entry.functions[name]?.effects.some(({ effect }) => effect === "get" || effect === "put") === true;
}
