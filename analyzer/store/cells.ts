/** Cells of rows that were read with `safeIntegers`, as the views hand them on. */

export type Row = Record<string, unknown>;

export function text(value: unknown): string {
  return typeof value === "string" ? value : String(value ?? "");
}

export function textOrNull(value: unknown): string | null {
  return value === null || value === undefined ? null : text(value);
}

/** Counts, ids and 32-bit values: small enough for a number. */
export function number(value: unknown): number {
  return Number(value ?? 0);
}

export function numberOrNull(value: unknown): number | null {
  return value === null || value === undefined ? null : Number(value);
}

export function big(value: unknown): bigint | null {
  return typeof value === "bigint" ? value : null;
}

export function unsigned(value: unknown): bigint | null {
  return typeof value === "bigint" ? BigInt.asUintN(64, value) : null;
}
