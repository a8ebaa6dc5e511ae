/** A SQLite database file that pages are appended to, while nothing else writes it. */
import { closeSync, fsyncSync, openSync, readSync, writeSync } from "node:fs";

/** Where the header has its numbers (https://sqlite.org/fileformat2.html, section 1.3). */
const PAGE_SIZE = 16;
const CHANGES = 24;
const PAGE_COUNT = 28;
const COUNT_VALID_FOR = 92;
const HEADER = 100;
/** The page with this byte is never used: locks lie on it. */
const PENDING_BYTE = 0x4000_0000;
const BUFFERED_PAGES = 64;

export class PageFile {
  readonly pageSize: number;
  readonly #fd: number;
  readonly #header = Buffer.alloc(HEADER);
  /** Pages that follow each other in the file, the last of them `#last`. */
  readonly #buffer: Buffer;
  #buffered = 0;
  #last: number;

  constructor(path: string) {
    this.#fd = openSync(path, "r+");
    readSync(this.#fd, this.#header, 0, HEADER, 0);
    this.pageSize = this.#header.readUInt16BE(PAGE_SIZE);
    this.#last = this.#header.readUInt32BE(PAGE_COUNT);
    this.#buffer = Buffer.alloc(BUFFERED_PAGES * this.pageSize);
  }

  /** @returns the new page's number. */
  append(page: Uint8Array): number {
    if (this.#last * this.pageSize === PENDING_BYTE) {
      this.#flush();
      this.#last++;
    }
    this.#buffer.set(page, this.#buffered * this.pageSize);
    this.#buffered++;
    this.#last++;
    if (this.#buffered === BUFFERED_PAGES) this.#flush();
    return this.#last;
  }

  /** Puts another content in the place of a page that is in the file. */
  replace(number: number, page: Uint8Array): void {
    this.#write(page, (number - 1) * this.pageSize);
  }

  /** Makes the file whole: connections see the new pages when they look at it the next time. */
  complete(): void {
    this.#flush();
    const changes = this.#header.readUInt32BE(CHANGES) + 1;
    this.#header.writeUInt32BE(changes, CHANGES);
    this.#header.writeUInt32BE(changes, COUNT_VALID_FOR);
    this.#header.writeUInt32BE(this.#last, PAGE_COUNT);
    this.#write(this.#header, 0);
    fsyncSync(this.#fd);
  }

  close(): void {
    closeSync(this.#fd);
  }

  #flush(): void {
    const bytes = this.#buffer.subarray(0, this.#buffered * this.pageSize);
    this.#write(bytes, (this.#last - this.#buffered) * this.pageSize);
    this.#buffered = 0;
  }

  #write(bytes: Uint8Array, position: number): void {
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(this.#fd, bytes, done, bytes.length - done, position + done);
    }
  }
}
