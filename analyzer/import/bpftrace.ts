/** Importer for what bpftrace programs print, as text and with `-f json`. */

import { readPrinted } from "./bpftrace-json.js";
import { looksLikeName, readSpec, takeApart } from "./bpftrace-line.js";
import { BpftraceReader } from "./bpftrace-reader.js";
import { makeTextReader } from "./text-file.js";
import { type Importer, type Input, type TraceReader, UnreadableInput } from "./trace-event.js";

export const bpftrace: Importer = {
  name: "bpftrace",
  about: "what a program prints, as text or -f json: keys, columns or tuples that name the probe",
  priority: 80,
  sniff: isBpftrace,
  open,
};

const VOTERS = 200;
const LINE_LENGTH = 4096;

/** What only bpftrace writes: its greeting, its JSON, its maps. */
const JSON_OBJECT =
  /^\{"type": ?"(?:attached_probes|printf|time|cat|join|syscall|value|map|hist|stats|tseries|lost_events)"/;
const GREETING = /^Attaching \d+ probes?/;
const MAP = /^@\w*(?:\[|:)/;
const MAP_OBJECT = /^\{"type": ?"(?:map|hist|stats|tseries)"/;
/** Somebody's JSON formatter spread it over several lines. */
const SPREAD_MAP = /^\s*\{\s*"type":\s*"(?:map|hist|stats|tseries)"/;

const ONLY_MAPS = "bpftrace's maps and histograms hold no events; print one line per event";

function firstLines(head: Buffer): string[] {
  return head
    .toString("utf8")
    .split("\n")
    .slice(0, VOTERS)
    .map((line) => line.slice(0, LINE_LENGTH).trimEnd())
    .filter((line) => line !== "");
}

function isBpftrace(head: Buffer): boolean {
  const lines = firstLines(head);
  if (lines.some((line) => JSON_OBJECT.test(line) || GREETING.test(line))) return true;
  if (SPREAD_MAP.test(head.toString("latin1", 0, LINE_LENGTH))) return true;
  const [first] = lines;
  if (first !== undefined && MAP.test(first)) return true;
  const flat = lines.filter((line) => !/^\s/.test(line));
  return flat.filter(namesProbe).length * 2 > flat.length;
}

/** `kprobe:kvm_put_kvm` in a line, or `func=kvm_put_kvm` beside a time, a CPU or a task. */
function namesProbe(line: string): boolean {
  const { words, roles } = takeApart(line);
  if (roles.function === undefined) return words.some(({ text }) => readSpec(text) !== null);
  const isName = looksLikeName(roles.function) || readSpec(roles.function) !== null;
  return isName && [roles.time, roles.cpu, roles.tid, roles.pid].some((role) => role !== undefined);
}

async function open(input: Input): Promise<TraceReader> {
  const lines = firstLines(input.head);
  const isJson = lines.some((line) => JSON_OBJECT.test(line));
  const sample = isJson ? lines.flatMap(textOf) : lines;
  const isMap = (line: string) => MAP.test(line) || MAP_OBJECT.test(line);
  if (SPREAD_MAP.test(input.head.toString("latin1", 0, LINE_LENGTH)) && !lines.some((line) => JSON_OBJECT.test(line))) {
    throw new UnreadableInput(`${input.path}: ${ONLY_MAPS}`);
  }
  const onlyMaps = lines.some(isMap) && !lines.some((line) => GREETING.test(line));
  return makeTextReader(
    input,
    isJson ? "bpftrace -f json" : "bpftrace",
    (facts, wants) => new BpftraceReader(facts, isJson, sample, wants),
    onlyMaps ? ONLY_MAPS : "no line of it tells of a probe; print nsecs, cpu, tid, comm, probe and the arguments",
  );
}

/** A tuple's parts, set apart so that none falls to pieces. */
function textOf(line: string): string[] {
  const printed = readPrinted(line);
  if (printed?.kind === "text") return printed.text.split("\n").filter((text) => text !== "");
  return printed?.kind === "parts" ? [printed.parts.map((part) => part.replaceAll(" ", "_")).join(" ")] : [];
}
