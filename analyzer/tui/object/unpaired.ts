/** Gets that no put gives back, as far as the recording tells which put belongs to which get. */

export interface Paired {
  tid: number;
  delta: number;
  outcome: string;
}

/**
 * Places of the gets that are left when every put has given back a get: the last open one of its own task, or else
 * the oldest one of all.
 */
export function unpairedGets(operations: readonly Paired[]): number[] {
  const open: number[] = [];
  for (const [index, { tid, delta, outcome }] of operations.entries()) {
    if (outcome === "refused") continue;
    for (let count = delta; count > 0; count--) open.push(index);
    for (let count = delta; count < 0 && open.length > 0; count++) {
      const own = open.findLastIndex((get) => operations[get]?.tid === tid);
      open.splice(Math.max(0, own), 1);
    }
  }
  return [...new Set(open)];
}
