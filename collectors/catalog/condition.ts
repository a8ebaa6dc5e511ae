/** When a call counts: `ret == 0`, `!IS_ERR(ret)`, `handler != NULL`, `args->flags & 1`. */

const TEST = /^(!?)\s*(ret|[A-Za-z_]\w*(?:->\w+)*)\s*(==|!=|>=|>|<|&)\s*(NULL|\d+)$/;
const NOT_ERROR = /^!IS_ERR\((ret)\)$/;

export interface Condition {
  /** `ret`, an argument, or a field behind one. */
  of: string;
  /** `value` as the type of what it looks at says: a signed number; of a pointer, the address. */
  holds(value: bigint): boolean;
}

/** Why a text is no condition is said by the schema; here it is null. */
function parse(text: string): Condition | null {
  const error = NOT_ERROR.exec(text);
  if (error?.[1]) return { of: error[1], holds: (value) => BigInt.asUintN(64, value) < 0xffff_ffff_ffff_f001n };
  const [, not, of, operator, word] = TEST.exec(text) ?? [];
  if (of === undefined || operator === undefined || word === undefined) return null;
  const bound = word === "NULL" ? 0n : BigInt(word);
  const tests: Record<string, (value: bigint) => boolean> = {
    "==": (value) => value === bound,
    "!=": (value) => value !== bound,
    ">=": (value) => value >= bound,
    ">": (value) => value > bound,
    "<": (value) => value < bound,
    "&": (value) => (value & bound) !== 0n,
  };
  const test = tests[operator];
  if (!test) return null;
  return { of, holds: not === "!" ? (value) => !test(value) : test };
}

const known = new Map<string, Condition | null>();

/** The condition that a text states; null when it states none. */
export function parseCondition(text: string): Condition | null {
  let condition = known.get(text);
  if (condition === undefined) {
    condition = parse(text);
    known.set(text, condition);
  }
  return condition;
}
