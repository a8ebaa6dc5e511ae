/**
 * Event `format` texts, as tracefs shows them (`events/GROUP/NAME/format`) and trace.dat and perf.data carry them.
 * Source: kernel/trace/trace_events.c, f_show().
 */

import type { ProbeKind } from "./trace-event.js";

/** Where a field's bytes are: in place, or at a place that a 32-bit locator in the record tells. */
export type FieldPlace = "here" | "data_loc" | "rel_loc";

export interface Field {
  name: string;
  /** Bytes from the start of the record. */
  offset: number;
  /** Bytes; 0 for a trailing array that runs to the end of the record. */
  size: number;
  signed: boolean;
  place: FieldPlace;
  content: "integer" | "text" | "bytes";
}

export interface EventFormat {
  system: string;
  name: string;
  /** `common_type` of its records: valid for this boot only. */
  id: number;
  kind: ProbeKind;
  /** The event's own fields, without `common_*` and without the two below. */
  fields: readonly Field[];
  common: readonly Field[];
  /** kprobe: the probed instruction. kretprobe: the function that returned. */
  address: Field | null;
  /** kretprobe: where the function returned to. */
  returnAddress: Field | null;
}

/** Longer than any declaration a kernel writes; keeps the patterns below cheap on hostile input. */
const LONGEST_LINE = 1024;

/** More than any event has; a hostile format could make each record thousands of values. */
const MOST_FIELDS = 512;

const FIELD = /^\s*field:([^;]+);\s*offset:\s*(\d+);\s*size:\s*(\d+);(?:\s*signed:\s*([01]);)?/;

/** @returns null when the text has no name, no id or not one field. */
export function parseEventFormat(text: string, system: string): EventFormat | null {
  let name = "";
  let id = -1;
  const all: Field[] = [];
  for (const line of text.split("\n")) {
    if (line.length > LONGEST_LINE || line.startsWith("print fmt:")) continue;
    if (line.startsWith("name:")) name = line.slice(5).trim();
    else if (line.startsWith("ID:")) id = Number(line.slice(3).trim());
    else {
      const field = parseField(line);
      if (field !== null && all.length < MOST_FIELDS) all.push(field);
    }
  }
  if (name === "" || !Number.isInteger(id) || id < 0 || id > 0xffff || all.length === 0) return null;

  const isCommon = (field: Field) => field.name.startsWith("common_");
  const common = all.filter(isCommon);
  const called = system === "ftrace" ? callFields(name, all) : null;
  if (called) return { system, name, id, common, returnAddress: null, ...called };
  const named = (wanted: string) => all.find((field) => field.name === wanted && isLong(field)) ?? null;
  const returned = named("__probe_func");
  const address = returned ?? named("__probe_ip");
  const returnAddress = named("__probe_ret_ip");
  let kind: ProbeKind = "tracepoint";
  if (returned !== null) kind = "kretprobe";
  else if (address !== null) kind = "kprobe";
  else if (system === "ftrace" && (name === "print" || name === "bprint")) kind = "print";
  return {
    system,
    name,
    id,
    kind,
    fields: all.filter((field) => !isCommon(field) && field !== address && field !== returnAddress),
    common,
    address,
    returnAddress,
  };
}

/** Source: kernel/trace/trace_entries.h. */
const CALLS: Readonly<Record<string, { kind: ProbeKind; function: string }>> = {
  function: { kind: "kprobe", function: "ip" },
  funcgraph_entry: { kind: "kprobe", function: "func" },
  fgraph_retaddr_entry: { kind: "kprobe", function: "func" },
  funcgraph_exit: { kind: "kretprobe", function: "func" },
};
/** FTRACE_REGS_MAX_ARGS on 64-bit x86; a record that was made without arguments ends before them. */
const MOST_ARGS = 6;

/** A call that a tracer of functions recorded is a hit on the function's first instruction, a return one of its end. */
function callFields(name: string, all: readonly Field[]): Pick<EventFormat, "kind" | "address" | "fields"> | null {
  const spec = Object.hasOwn(CALLS, name) ? CALLS[name] : undefined;
  const address = all.find((field) => field.name === spec?.function && isLong(field));
  if (!spec || !address) return null;
  const args = all.find((field) => field.name === "args" && field.size === 0);
  const registers = args ? Array.from({ length: MOST_ARGS }, (_, index) => register(args, address.size, index)) : [];
  const fields = spec.kind === "kretprobe" ? all.filter((field) => field.name === "retval") : registers;
  return { kind: spec.kind, address, fields };
}

function register(args: Field, size: number, index: number): Field {
  return { ...args, name: `arg${index + 1}`, offset: args.offset + size * index, size, content: "integer" };
}

function isLong({ content, size }: Field): boolean {
  return content === "integer" && (size === 4 || size === 8);
}

function parseField(line: string): Field | null {
  const [, text, offset, size, signed] = FIELD.exec(line) ?? [];
  if (text === undefined) return null;
  const { type, name, isArray } = splitDeclaration(text);
  if (name === "") return null;
  const bytes = Number(size);
  const place: FieldPlace = type.startsWith("__data_loc")
    ? "data_loc"
    : type.startsWith("__rel_loc")
      ? "rel_loc"
      : "here";
  if (place !== "here" && bytes !== 4) return null;
  const isInteger = !isArray && place === "here" && [1, 2, 4, 8].includes(bytes);
  const isText = /\bchar\b/.test(type) && !/\bunsigned\b/.test(type);
  return {
    name,
    offset: Number(offset),
    size: bytes,
    // Kernels before 2.6.32 do not say.
    signed: signed === "1",
    place,
    content: isInteger ? "integer" : isText ? "text" : "bytes",
  };
}

/** `char comm[16]`, `const char * fmt`, `u32 buf[]`; locators put the brackets before the name: `char[] name`. */
function splitDeclaration(declaration: string): { type: string; name: string; isArray: boolean } {
  const text = declaration.trim();
  const hasSuffix = text.endsWith("]");
  const bare = hasSuffix ? text.slice(0, text.indexOf("[")).trimEnd() : text;
  const nameStart = Math.max(bare.lastIndexOf(" "), bare.lastIndexOf("*"), bare.lastIndexOf("\t")) + 1;
  const type = bare.slice(0, nameStart);
  return { type, name: bare.slice(nameStart), isArray: hasSuffix || type.includes("[") };
}

/** How header_page lays out a ring-buffer page. */
export interface PageHeader {
  /** Bytes of a kernel `long`: the commit counter has this size. */
  longSize: 4 | 8;
  /** Bytes from the start of a page to its first record. */
  dataOffset: number;
}

/** Reads the text of `events/header_page`. @returns null when it does not tell. */
export function parsePageHeader(text: string): PageHeader | null {
  const fields = text.split("\n").map((line) => (line.length > LONGEST_LINE ? null : parseField(line)));
  const commit = fields.find((field) => field?.name === "commit");
  const data = fields.find((field) => field?.name === "data");
  if (commit?.offset !== 8 || (commit.size !== 4 && commit.size !== 8)) return null;
  if (data?.offset !== 8 + commit.size) return null;
  return { longSize: commit.size, dataOffset: data.offset };
}
