/**
 * What the function and function_graph tracers print of one call: who was called, with what, what it returned.
 * Sources: kernel/trace/trace_output.c (trace_fn_trace(), print_function_args()), kernel/trace/trace_functions_graph.c
 * (print_graph_entry_leaf(), print_graph_entry_nested(), print_graph_return()), and trace-cmd's plugins of both.
 *
 *     kvm_put_kvm(kvm=0xffff8881049d6000) <-kvm_vm_release      function, args with option func-args
 *     kvm_vm_ioctl() {                                          function_graph: a call; args with funcgraph-args
 *     kvm_init(); /* ret=-17 *\/                                 one that called nobody: call and return at once
 *     } /* kvm_init ret=-17 *\/                                  a return, named by funcgraph-tail or -retval
 */
import { skipSpaces } from "./text-line.js";

/** Bits: a call, a return, both. A return without a name is none: nobody says whose it is. */
export const CALL = { NONE: 0, ENTRY: 1, RETURN: 2, LEAF: 3 } as const;

/** Options set_graph_function, set_graph_notrace and max_graph_depth leave no mark in what is recorded. */
export const GRAPH_IS_A_PART =
  "function_graph may have been told to show some callers only: what it does not show proves nothing";

/** Refilled line by line. Positions are in the line's buffer. */
export class CallLine {
  nameStart = 0;
  nameEnd = 0;
  nameHash = 0;
  /** What stands between the parentheses; both the same where there is nothing. */
  argsStart = 0;
  argsEnd = 0;
  /** By function_graph, which may show only what certain functions call, to a certain depth. */
  isGraph = false;
}

/** KSYM_NAME_LEN */
const LONGEST_NAME = 512;
const SPACE = 0x20;
const PLUS = 0x2b;
const OPEN = 0x28;
const CLOSE = 0x29;
const SEMICOLON = 0x3b;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/**
 * @param isNamed The event is known to be a call's (trace-cmd prints `function:` before it): a bare name will do
 * @returns one of `CALL`: NONE where `buffer[start, end)` is something else
 */
export function readCall(buffer: Buffer, start: number, end: number, isNamed: boolean, call: CallLine): number {
  let at = skipSpaces(buffer, start, end);
  call.isGraph = true;
  if (buffer[at] === CLOSE_BRACE) {
    if (buffer[at + 2] !== 0x2f || buffer[at + 3] !== 0x2a) return CALL.NONE;
    return readSymbol(buffer, at + 5, end, call) < 0 ? CALL.NONE : CALL.RETURN;
  }
  at = readSymbol(buffer, at, end, call);
  if (at < 0) return CALL.NONE;
  if (buffer[at] === OPEN) {
    const close = buffer.indexOf(CLOSE, at);
    if (close < 0 || close >= end) return CALL.NONE;
    call.argsStart = at + 1;
    call.argsEnd = close;
    at = close + 1;
  }
  if (buffer[at] === SEMICOLON) return CALL.LEAF;
  at = skipSpaces(buffer, at, end);
  if (buffer[at] === OPEN_BRACE) return CALL.ENTRY;
  call.isGraph = false;
  if (at >= end) return isNamed ? CALL.ENTRY : CALL.NONE;
  return buffer[at] === 0x3c && buffer[at + 1] === 0x2d ? CALL.ENTRY : CALL.NONE;
}

/** `kvm_exit`, `kvm_exit+0x4/0xe0`, `kvm_exit [kvm]`. @returns the position behind it, -1 where none is */
function readSymbol(buffer: Buffer, start: number, end: number, call: CallLine): number {
  let at = start;
  let hash = 0;
  while (at < end && isSymbolByte(buffer[at]!)) hash = Math.imul(hash ^ buffer[at++]!, 0x01000193);
  if (at === start || at - start > LONGEST_NAME) return -1;
  call.nameStart = start;
  call.nameEnd = at;
  call.nameHash = hash;
  call.argsStart = at;
  call.argsEnd = at;
  if (buffer[at] === PLUS) while (at < end && buffer[at]! > SPACE && buffer[at] !== OPEN) at++;
  if (buffer[at] === SPACE && buffer[at + 1] === OPEN_BRACKET) {
    const close = buffer.indexOf(CLOSE_BRACKET, at);
    if (close > 0 && close < end) at = close + 1;
  }
  return at;
}

/** Letters, digits, `_`, and the `.` and `$` of clones. */
function isSymbolByte(byte: number): boolean {
  return (
    (byte >= 0x61 && byte <= 0x7a) ||
    byte === 0x5f ||
    (byte >= 0x30 && byte <= 0x39) ||
    (byte >= 0x41 && byte <= 0x5a) ||
    byte === 0x2e ||
    byte === 0x24
  );
}

/** ` ret=-17 *\/` since 6.13, ` = 0x1 *\/` before, at the end of the line; null where options print none. */
const RESULT = /(?: ret=| = )(-?\d+|0x[0-9a-f]+) \*\/$/;

export function resultOf(line: string): bigint | null {
  const text = RESULT.exec(line.trimEnd())?.[1];
  return text === undefined || text.length > 20 ? null : BigInt(text);
}

/** The kernel prints seven digits in all, trace-cmd three behind the point. */
const DURATION = /(\d{1,12})(?:\.(\d{1,3}))? us/;

/** Nanoseconds from call to return, as the column in front of the function tells; 0 where it does not. */
export function durationOf(columns: string): number {
  const [, micros, fraction = ""] = DURATION.exec(columns) ?? [];
  return micros === undefined ? 0 : Number(micros) * 1000 + Number(fraction.padEnd(3, "0"));
}
