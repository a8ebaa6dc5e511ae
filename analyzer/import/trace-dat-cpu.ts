/** The items of one CPU in one buffer, in its order. */

import type { RecordBytes, TextTable } from "./record-fields.js";
import { type Chunk, makeChunk, type PageLayout, PageWalker } from "./ring-buffer.js";
import type { MissingPages, Pages } from "./trace-dat-chunks.js";
import type { Report } from "./trace-dat-file.js";
import { ACTION, isGraph, type RecordDecoder } from "./trace-dat-records.js";
import type { Address, Gap, Nanoseconds, TraceEvent, TraceItem } from "./trace-event.js";

export interface CpuSource {
  cpu: number;
  layout: PageLayout;
  pieces: Iterator<Pages | MissingPages>;
  decoder: RecordDecoder;
  texts: TextTable;
  /** From raw clock units to the times of the trace; null where they are the same. */
  toTime: ((raw: bigint) => Nanoseconds) | null;
  report: Report;
}

export class CpuStream {
  readonly cpu: number;
  /** Records met, wanted or not; the two of a function that called none (function_graph) are one. */
  recordCount = 0;
  /** Times of the first and the last record. */
  first: Nanoseconds | null = null;
  last: Nanoseconds | null = null;
  readonly gaps: Gap[] = [];

  private readonly walker: PageWalker;
  private readonly record: RecordBytes;
  private chunk: Chunk;
  /** The chunk's place in the file. */
  private pages: Pages | null = null;
  /** Of the next page, in the chunk. */
  private nextPage = 0;

  /** In order, not yet taken. */
  private items: TraceItem[] = [];
  /** The last record, if it is a wanted event: its stack may follow, and the next record ends its window. */
  private pending: TraceEvent | null = null;
  /** What was lost since the last record. */
  private losses: Pick<Gap, "code" | "lost">[] = [];
  /** The next record is the CPU's first, or the first after a loss. */
  private isAfterBreak = true;
  private hasGoneBack = false;
  /** A function entered by the record before, as the function_graph tracer tells; at which record. */
  private leaf: { func: Address; tid: number; at: number } | null = null;

  constructor(private readonly source: CpuSource) {
    this.cpu = source.cpu;
    const { littleEndian } = source.layout;
    this.chunk = makeChunk(Buffer.alloc(0), littleEndian);
    this.walker = new PageWalker(source.layout, this.chunk);
    this.record = {
      bytes: this.chunk.bytes,
      view: this.chunk.view,
      littleEndian,
      start: 0,
      end: 0,
      texts: source.texts,
    };
  }

  /** The next items, at least one; null at the end. */
  next(): TraceItem[] | null {
    while (this.items.length === 0 && this.enterNextPage()) this.walkPage();
    if (this.items.length === 0) this.finish();
    const { items } = this;
    this.items = [];
    return items.length === 0 ? null : items;
  }

  private enterNextPage(): boolean {
    while (this.nextPage >= this.chunk.bytes.length) {
      const { value: piece, done } = this.source.pieces.next();
      if (done === true) return false;
      if (piece.kind === "missing") this.lose("damaged", null, piece.offset, piece.message);
      else this.setChunk(piece);
    }
    this.walker.enterPage(this.nextPage);
    this.nextPage += this.source.layout.pageSize;
    if (this.walker.missed !== 0) this.lose("lost-events", this.walker.missed > 0 ? this.walker.missed : null);
    return true;
  }

  private setChunk(pages: Pages): void {
    this.pages = pages;
    this.chunk = makeChunk(pages.bytes, this.source.layout.littleEndian);
    this.walker.setChunk(this.chunk);
    this.record.bytes = this.chunk.bytes;
    this.record.view = this.chunk.view;
    this.nextPage = 0;
  }

  private walkPage(): void {
    const { walker } = this;
    const { actions } = this.source.decoder;
    const { words } = this.chunk;
    const idShift = this.source.layout.littleEndian ? 0 : 16;
    const before = this.recordCount;
    for (;;) {
      if (this.pending === null && !this.isAfterBreak) this.recordCount += walker.skip(actions, ACTION.SKIP);
      if (!walker.next()) break;
      this.recordCount++;
      if (this.isAfterBreak) this.beginAfterBreak();
      const id = (words[walker.start >>> 2]! >>> idShift) & 0xffff;
      if (this.pending !== null || actions[id]! < ACTION.SKIP) this.takeRecord(id);
    }
    // One time per page is enough for a stream that is only skipped through.
    if (this.recordCount > before) {
      const last = this.now();
      if (this.last !== null && last < this.last) this.reportGoingBack();
      this.last = last;
    }
    if (walker.damage !== null) this.lose("damaged", null, this.pageOffset(), `CPU ${this.cpu}: ${walker.damage}`);
  }

  private reportGoingBack(): void {
    if (this.hasGoneBack) return;
    this.hasGoneBack = true;
    this.source.report("warning", this.pageOffset(), `CPU ${this.cpu}: time goes back, events may be out of order`);
  }

  /** Of the page in hand, in the file; of the whole chunk where that is compressed. */
  private pageOffset(): number {
    const { offset, isCompressed } = this.pages!;
    return isCompressed ? offset : offset + this.nextPage - this.source.layout.pageSize;
  }

  /** A record that is wanted, or follows one that is. */
  private takeRecord(id: number): void {
    const { decoder } = this.source;
    const { record, pending } = this;
    record.start = this.walker.start;
    record.end = this.walker.end;
    const action = decoder.actions[id] || decoder.meet(id);
    if (isGraph(action)) this.countLeaf(id, action);
    const isOfPending = pending !== null && decoder.tidOf(record) === pending.tid;

    if (action === ACTION.KERNEL_STACK && isOfPending && pending.stack === null) {
      pending.stack = decoder.stackOf(id, record, this.chunk.words);
      return;
    }
    if (action === ACTION.USER_STACK && isOfPending) return;
    const probe = action === ACTION.DECODE || isGraph(action) ? decoder.probeOf(id, record) : null;
    if (pending === null && probe === null) return;
    const now = this.now();
    if (pending !== null) this.settle(now);
    if (probe !== null) this.pending = decoder.decode(id, probe, record, now, this.cpu);
  }

  /** trace-cmd prints entry and exit of a function as one line where nothing of this CPU lies between them. */
  private countLeaf(id: number, action: number): void {
    const { decoder } = this.source;
    const func = decoder.functionOf(id, this.record);
    const tid = decoder.tidOf(this.record);
    const { leaf } = this;
    this.leaf = action === ACTION.GRAPH_ENTRY && func !== null ? { func, tid, at: this.recordCount } : null;
    if (action === ACTION.GRAPH_ENTRY || leaf?.at !== this.recordCount - 1) return;
    if (leaf.func === func && leaf.tid === tid) this.recordCount--;
  }

  private now(): Nanoseconds {
    const { toTime } = this.source;
    return toTime === null ? this.walker.time : toTime(this.walker.time);
  }

  /** Hands the pending event over, now that the record behind it is known. */
  private settle(next: Nanoseconds | null): void {
    if (this.pending === null) return;
    this.pending.nextOnCpu = next;
    this.items.push(this.pending);
    this.pending = null;
  }

  private lose(
    code: Gap["code"],
    lost: number | null,
    offset: number | null = null,
    message: string | null = null,
  ): void {
    if (message !== null) this.source.report("error", offset, message);
    const known = this.losses.find((loss) => loss.code === code);
    if (known === undefined) this.losses.push({ code, lost });
    else known.lost = known.lost === null || lost === null ? null : known.lost + lost;
    this.isAfterBreak = true;
  }

  /** At the first record of all and of each page that follows a loss. What was pending cannot own a stack any more. */
  private beginAfterBreak(): void {
    const now = this.now();
    this.first ??= now;
    this.settle(now);
    this.endLosses(now);
    this.isAfterBreak = false;
  }

  private endLosses(to: Nanoseconds | null): void {
    for (const loss of this.losses) {
      const gap: Gap = { kind: "gap", ...loss, cpu: this.cpu, from: this.last, to };
      this.gaps.push(gap);
      this.items.push(gap);
    }
    this.losses = [];
  }

  private finish(): void {
    this.settle(null);
    this.endLosses(null);
  }
}
