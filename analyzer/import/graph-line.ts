/**
 * Lines of the function_graph tracer, printed with time and task (options funcgraph-abstime and funcgraph-proc).
 * Events stand in it as comments. Source: kernel/trace/trace_functions_graph.c, print_graph_prologue() and
 * print_graph_comment().
 *
 *      116.697414 |   1)    work-243    |               |  /* kvm_vfio_create: (kvm_vfio_create+0x0/0xa0 [kvm]) type=4 *\/
 *      time          cpu    task-pid      duration         body
 */
import { type EventLine, skipSpaces } from "./text-line.js";

const SPACE = 0x20;
const PIPE = 0x7c;
const COLON = 0x3a;

const PROLOGUE = /^\s*(\d{1,15})\.(\d{6}) \|\s+(\d{1,5})\)\s+(\S.{0,15}?)-(\d{1,10})\s+\|/;
const PROLOGUE_BYTES = 96;

/** Whether a line has time, CPU and task in front: without them its events can be given no place. */
export function isPlacedGraphLine(text: string): boolean {
  return PROLOGUE.test(text);
}

/** Reads events and, as events without a name, calls and returns. @returns false for all other lines */
export function readGraphLine(buffer: Buffer, start: number, end: number, line: EventLine): boolean {
  const head = buffer.toString("latin1", start, Math.min(end, start + PROLOGUE_BYTES));
  const [all, seconds, micros, cpu, comm, tid] = PROLOGUE.exec(head) ?? [];
  if (all === undefined) return false;
  line.rawFlags = -1;
  line.flagsStart = start;
  line.flagsEnd = start;
  line.counts = false;
  line.seconds = Number(seconds);
  line.nanos = Number(micros) * 1000;
  line.cpu = Number(cpu);
  line.tid = Number(tid);
  line.commStart = start + all.lastIndexOf(`${comm}-${tid}`);
  line.commEnd = line.commStart + comm!.length;
  readBody(buffer, Math.max(buffer.lastIndexOf(PIPE, end - 1), start + all.length - 1), end, line);
  return true;
}

/** @param pipe position of the column's mark in front of the body */
function readBody(buffer: Buffer, pipe: number, end: number, line: EventLine): void {
  line.named = false;
  line.nameStart = pipe;
  line.nameEnd = pipe + 1;
  line.nameHash = 0;
  line.bodyStart = pipe + 1;
  line.bodyEnd = end;
  let at = skipSpaces(buffer, pipe + 1, end);
  // `} /* name */` has something in front.
  if (buffer[at] !== 0x2f || buffer[at + 1] !== 0x2a) return;
  const start = at + 3;
  let hash = 0;
  for (at = start; at < end && buffer[at]! > SPACE && buffer[at] !== COLON; at++) {
    hash = Math.imul(hash ^ buffer[at]!, 0x01000193);
  }
  if (buffer[at] !== COLON || at === start) return;
  line.named = true;
  line.nameStart = start;
  line.nameEnd = at;
  line.nameHash = hash;
  line.bodyStart = Math.min(end, at + 2);
  const close = buffer.lastIndexOf(" */", end, "latin1");
  line.bodyEnd = close > line.bodyStart ? close : end;
}
