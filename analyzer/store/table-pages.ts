/**
 * The B-tree pages of one table, made of rows in the order of their rowids: several times faster than inserting them
 * one by one (https://sqlite.org/fileformat2.html, section 1.6).
 */
import type { PageFile } from "./page-file.js";
import { putVarint, varintLength } from "./record.js";

const LEAF = 13;
const INTERIOR = 5;
const LEAF_HEADER = 8;
const INTERIOR_HEADER = 12;
/** A child's page number, its greatest rowid, and a pointer to these. */
const LARGEST_INTERIOR_CELL = 4 + 9 + 2;

/** A finished page, and the greatest rowid in it. */
interface Child {
  page: number;
  last: number;
}

export class TablePages {
  readonly #file: PageFile;
  readonly #leaf: Buffer;
  #leaves: Child[] = [];
  #cells = 0;
  /** Cells fill the page from its end down to here, pointers to them from its begin. */
  #top: number;
  #last = 0;

  constructor(file: PageFile) {
    this.#file = file;
    this.#leaf = Buffer.alloc(file.pageSize);
    this.#top = file.pageSize;
  }

  /** Adds a record. Rowids must ascend. */
  add(rowid: number, record: Buffer, length: number): void {
    const local = this.#localPart(length);
    const overflows = local < length;
    const size = varintLength(length) + varintLength(rowid) + local + (overflows ? 4 : 0);
    if (LEAF_HEADER + 2 * (this.#cells + 1) + size > this.#top) this.#endLeaf();
    const leaf = this.#leaf;
    this.#top -= size;
    leaf.writeUInt16BE(this.#top, LEAF_HEADER + 2 * this.#cells++);
    let at = putVarint(leaf, this.#top, length);
    at = putVarint(leaf, at, rowid);
    at += record.copy(leaf, at, 0, local);
    if (overflows) leaf.writeUInt32BE(this.#overflow(record, local, length), at);
    this.#last = rowid;
  }

  /** Completes the table; `root` is the page that the schema says it begins at. */
  finish(root: number): void {
    if (this.#leaves.length === 0) {
      this.#file.replace(root, this.#finished());
      return;
    }
    this.#endLeaf();
    const most = Math.floor((this.#file.pageSize - INTERIOR_HEADER) / LARGEST_INTERIOR_CELL);
    let children = this.#leaves;
    while (children.length > most) {
      const groups = Math.ceil(children.length / most);
      const below = children;
      children = Array.from({ length: groups }, (_, group) => {
        const part = below.slice((group * below.length) / groups, ((group + 1) * below.length) / groups);
        return { page: this.#file.append(this.#interior(part)), last: part.at(-1)!.last };
      });
    }
    this.#file.replace(root, this.#interior(children));
  }

  /** How much of a record stands in the leaf itself. */
  #localPart(length: number): number {
    const usable = this.#file.pageSize;
    if (length <= usable - 35) return length;
    const least = Math.floor(((usable - 12) * 32) / 255) - 23;
    const local = least + ((length - least) % (usable - 4));
    return local <= usable - 35 ? local : least;
  }

  /** Writes the rest of a long record. @returns its first page. */
  #overflow(record: Buffer, from: number, to: number): number {
    const room = this.#file.pageSize - 4;
    let next = 0;
    // From its end, because each page names the one behind it.
    for (let at = from + Math.floor((to - from - 1) / room) * room; at >= from; at -= room) {
      const page = Buffer.alloc(this.#file.pageSize);
      page.writeUInt32BE(next);
      record.copy(page, 4, at, Math.min(at + room, to));
      next = this.#file.append(page);
    }
    return next;
  }

  #endLeaf(): void {
    this.#leaves.push({ page: this.#file.append(this.#finished()), last: this.#last });
    this.#cells = 0;
    this.#top = this.#file.pageSize;
  }

  #finished(): Buffer {
    putHeader(this.#leaf, LEAF, this.#cells, this.#top);
    return this.#leaf;
  }

  #interior(children: readonly Child[]): Buffer {
    const page = Buffer.alloc(this.#file.pageSize);
    let top = page.length;
    for (const [index, { page: child, last }] of children.slice(0, -1).entries()) {
      top -= 4 + varintLength(last);
      page.writeUInt32BE(child, top);
      putVarint(page, top + 4, last);
      page.writeUInt16BE(top, INTERIOR_HEADER + 2 * index);
    }
    putHeader(page, INTERIOR, children.length - 1, top);
    page.writeUInt32BE(children.at(-1)!.page, LEAF_HEADER);
    return page;
  }
}

/** What every B-tree page begins with; an end of 65536 is written as 0. */
function putHeader(page: Buffer, type: number, cells: number, top: number): void {
  page[0] = type;
  page.writeUInt16BE(0, 1);
  page.writeUInt16BE(cells, 3);
  page.writeUInt16BE(top & 0xffff, 5);
  page[7] = 0;
}
