/** What rules keep until the trace is over: of more cases than anybody reads only the first, whatever the input. */

/** Cases of one kind, objects that are followed, operations of one of them. */
export const MOST_CASES = 1024;

/** Adds cases as long as there is room. */
export function keep<Case>(cases: Case[], ...more: readonly Case[]): void {
  cases.push(...more.slice(0, Math.max(0, MOST_CASES - cases.length)));
}

/** Keeps the first case of a key. */
export function keepFirst<Key, Case>(cases: Map<Key, Case>, key: Key, one: Case): void {
  if (!cases.has(key) && cases.size < MOST_CASES) cases.set(key, one);
}
