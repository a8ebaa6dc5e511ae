/** Builds small trace.dat files for tests. */

import { deflateSync } from "node:zlib";
import { ByteWriter } from "./byte-writer.js";
import {
  type BuiltFormat,
  type BuiltPage,
  buildPage,
  formatText,
  headerPageText,
  type Machine,
} from "./ring-buffer-builder.js";

export interface BuiltTrace extends Machine {
  version: 6 | 7;
  compression: "none" | "zlib" | "zstd";
  formats: BuiltFormat[];
  kallsyms: string;
  comms: [number, string][];
  /** As tracefs shows it: `[local] global`. */
  clock: string;
  /** Further options: id and content. */
  options: [number, string | Buffer][];
  /** Pages by CPU, by buffer name; "" is the top buffer. */
  buffers: Map<string, Map<number, BuiltPage[]>>;
}

/** Offsets are written before they are known, so everything is written twice: `places` are those of the first time. */
type Places = Map<string, number>;

export function buildTraceDat(trace: BuiltTrace): Buffer {
  const write = trace.version === 6 ? writeVersion6 : writeVersion7;
  const places: Places = new Map();
  write(trace, places);
  return write(trace, places);
}

function writer(trace: BuiltTrace): ByteWriter {
  return new ByteWriter(trace.littleEndian);
}

function start(trace: BuiltTrace): ByteWriter {
  return writer(trace)
    .bytes("\x17\x08\x44tracing")
    .name(String(trace.version))
    .u8(trace.littleEndian ? 0 : 1)
    .u8(trace.longSize)
    .u32(trace.pageSize);
}

function headerInfo(trace: BuiltTrace): Buffer {
  const page = headerPageText(trace);
  return writer(trace).name("header_page").u64(page.length).bytes(page).name("header_event").u64(0).toBuffer();
}

function formatsOf(trace: BuiltTrace, system: string): Buffer {
  const texts = trace.formats.filter((format) => format.system === system).map((format) => formatText(format, trace));
  const out = writer(trace).u32(texts.length);
  for (const text of texts) out.u64(text.length).bytes(text);
  return out.toBuffer();
}

function systemFormats(trace: BuiltTrace): Buffer {
  const systems = [...new Set(trace.formats.map((format) => format.system))].filter((system) => system !== "ftrace");
  const out = writer(trace).u32(systems.length);
  for (const system of systems) out.name(system).bytes(formatsOf(trace, system));
  return out.toBuffer();
}

function sized32(trace: BuiltTrace, text: string): Buffer {
  return writer(trace).u32(text.length).bytes(text).toBuffer();
}

function cmdlines(trace: BuiltTrace): Buffer {
  const text = Buffer.from(trace.comms.map(([tid, comm]) => `${tid} ${comm}\n`).join(""));
  return writer(trace).u64(text.length).bytes(text).toBuffer();
}

function option(out: ByteWriter, id: number, content: string | Buffer): void {
  out.u16(id).u32(content.length).bytes(content);
}

function writeVersion6(trace: BuiltTrace, places: Places): Buffer {
  const at = (name: string) => places.get(name) ?? 0;
  const cpus = Math.max(
    0,
    ...[...trace.buffers.values()].flatMap((buffer) => [...buffer.keys()].map((cpu) => cpu + 1)),
  );
  const out = start(trace).bytes(headerInfo(trace)).bytes(formatsOf(trace, "ftrace")).bytes(systemFormats(trace));
  out.bytes(sized32(trace, trace.kallsyms)).u32(0).bytes(cmdlines(trace)).u32(cpus);
  out.bytes("options  \0");
  for (const [id, content] of trace.options) option(out, id, content);
  option(out, 4, "");
  for (const name of trace.buffers.keys()) {
    if (name !== "")
      option(
        out,
        3,
        writer(trace)
          .u64(at(`table ${name}`))
          .name(name)
          .toBuffer(),
      );
  }
  out.u16(0);
  for (const [name, buffer] of trace.buffers) {
    places.set(`table ${name}`, out.position);
    out.bytes("flyrecord\0");
    for (let cpu = 0; cpu < cpus; cpu++) {
      out.u64(at(`data ${name} ${cpu}`)).u64((buffer.get(cpu)?.length ?? 0) * trace.pageSize);
    }
    if (name === "") out.u64(trace.clock.length).bytes(trace.clock);
  }
  for (const [name, buffer] of trace.buffers) {
    for (const [cpu, pages] of buffer) {
      out.align(trace.pageSize);
      places.set(`data ${name} ${cpu}`, out.position);
      for (const page of pages) out.bytes(buildPage(page, trace));
    }
  }
  return out.toBuffer();
}

function writeVersion7(trace: BuiltTrace, places: Places): Buffer {
  const at = (name: string) => places.get(name) ?? 0;
  const mark = (name: string) => places.set(name, out.position);
  const isCompressed = trace.compression !== "none";
  const out = start(trace).name(trace.compression).name("1").u64(at("options 1"));

  const section = (id: number, content: Buffer, compress = isCompressed) => {
    mark(`section ${id}`);
    const body = compress ? compressed(content, trace) : content;
    out
      .u16(id)
      .u16(compress ? 1 : 0)
      .u32(0)
      .u64(body.length)
      .bytes(body);
  };
  section(16, headerInfo(trace));
  section(17, formatsOf(trace, "ftrace"));
  section(18, systemFormats(trace));
  section(19, sized32(trace, trace.kallsyms));
  section(21, cmdlines(trace));

  const first = writer(trace);
  for (const id of [16, 17, 18, 19, 21])
    option(
      first,
      id,
      writer(trace)
        .u64(at(`section ${id}`))
        .toBuffer(),
    );
  option(first, 4, trace.clock);
  for (const [id, content] of trace.options) option(first, id, content);
  option(first, 0, writer(trace).u64(at("options 2")).toBuffer());
  mark("options 1");
  out.bytes(tableSection(trace, first.toBuffer()));

  const second = writer(trace);
  for (const [name, buffer] of trace.buffers) {
    mark(`buffer ${name}`);
    const size = at(`end ${name}`) - at(`buffer ${name}`) - 16;
    out
      .u16(3)
      .u16(isCompressed ? 1 : 0)
      .u32(0)
      .u64(Math.max(0, size));
    const table = writer(trace)
      .u64(at(`buffer ${name}`))
      .name(name)
      .name(/\[(.*)\]/.exec(trace.clock)?.[1] ?? "");
    table.u32(trace.pageSize).u32(buffer.size);
    for (const [cpu, pages] of buffer) {
      out.align(trace.pageSize);
      const begin = out.position;
      const bytes = pages.map((page) => buildPage(page, trace));
      if (isCompressed) out.u32(bytes.length);
      for (const page of bytes) out.bytes(isCompressed ? compressed(page, trace) : page);
      table
        .u32(cpu)
        .u64(begin)
        .u64(out.position - begin);
    }
    mark(`end ${name}`);
    option(second, 3, table.toBuffer());
  }
  option(second, 0, writer(trace).u64(0).toBuffer());
  mark("options 2");
  out.bytes(tableSection(trace, second.toBuffer()));
  return out.toBuffer();
}

/** Option tables are not compressed, as trace-cmd leaves small sections. */
function tableSection(trace: BuiltTrace, table: Buffer): Buffer {
  return writer(trace).u16(0).u16(0).u32(0).u64(table.length).bytes(table).toBuffer();
}

function compressed(content: Buffer, trace: BuiltTrace): Buffer {
  const body = trace.compression === "zlib" ? deflateSync(content) : storedZstd(content);
  return writer(trace).u32(body.length).u32(content.length).bytes(body).toBuffer();
}

/** A zstd frame of stored blocks: Node 20 cannot compress. Source: RFC 8878, 3.1.1. */
export function storedZstd(content: Buffer): Buffer {
  const out = new ByteWriter(true).u32(0xfd2fb528).u8(0xa0).u32(content.length);
  const largest = 1 << 17;
  for (let at = 0; at < content.length; at += largest) {
    const block = content.subarray(at, at + largest);
    const isLast = at + largest >= content.length;
    out.integer(BigInt((block.length << 3) | (isLast ? 1 : 0)), 3).bytes(block);
  }
  return out.toBuffer();
}
