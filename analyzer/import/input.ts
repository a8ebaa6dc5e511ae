/** Opens what the user names: files, packed files, standard input. */

import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { pipeline, Readable } from "node:stream";
import split2 from "split2";
import { readAll, Spool } from "./spool.js";
import { type Input, UnreadableInput } from "./trace-event.js";
import { detectWrapper, UnpacksTooLarge, unwrap } from "./unwrap.js";

export interface OpenedInput extends Input {
  /** Why a packed file's content ends early; null when it is whole. */
  damage: string | null;
}

/** Bytes with random access. */
type Content = Pick<Spool, "size" | "read" | "close">;

const HEAD = 0x10000;
const PIECE = 0x10000;
/** Longer lines are no trace; they are passed over, so that a stream without line ends cannot fill the memory. */
const LONGEST_LINE = 1 << 20;
/** A live stream that sent a line and then nothing for so long (milliseconds) is judged by what it sent. */
const QUIET = 250;

/** @throws UnreadableInput */
export async function openInput(path: string, standardInput: Readable = process.stdin): Promise<OpenedInput> {
  try {
    return path === "-" ? await openStream(standardInput) : await unpack(path, openContent(path));
  } catch (error) {
    throw asUnreadable(path, error);
  }
}

function openContent(path: string): Content {
  // Without O_NONBLOCK, opening a named pipe waits for its writer.
  const file = new OpenFile(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
  try {
    const stat = fstatSync(file.fd);
    if (stat.isDirectory()) throw new UnreadableInput(`${path}: is a directory; name a trace file in it`);
    if (!stat.isFile()) throw new UnreadableInput(`${path}: is not a regular file; pipe it in and name it -`);
    file.size = stat.size;
    return file.size > 0 ? file : spoolUnsized(file);
  } catch (error) {
    file.close();
    throw error;
  }
}

class OpenFile implements Content {
  size = 0;
  private isOpen = true;

  constructor(readonly fd: number) {}

  read(offset: number, length: number, into?: Buffer): Buffer {
    return readAll(this.fd, offset, length, into);
  }

  close(): void {
    if (this.isOpen) closeSync(this.fd);
    this.isOpen = false;
  }
}

/** Files of tracefs and procfs claim to be empty; only reading tells. */
function spoolUnsized(file: OpenFile): Spool {
  const spool = new Spool();
  for (const piece of piecesOf(file)) spool.append(piece);
  file.close();
  return spool;
}

function* piecesOf(content: Content): Generator<Buffer> {
  let offset = 0;
  for (let piece = content.read(0, PIECE); piece.length > 0; piece = content.read(offset, PIECE)) {
    offset += piece.length;
    yield piece;
  }
}

/** Takes `content` over: it is closed with the input, or here. */
async function unpack(path: string, content: Content): Promise<OpenedInput> {
  try {
    if (content.size === 0) throw new UnreadableInput(`${path}: is empty; record the trace again`);
    const wrapper = detectWrapper(content.read(0, HEAD));
    if (wrapper === null) return inputOf(path, content, null);
    const unpacked = await unwrap(wrapper, piecesOf(content));
    content.close();
    if (unpacked.content.size > 0) return inputOf(path, unpacked.content, unpacked.damage);
    throw new UnreadableInput(`${path}: ${unpacked.damage ?? "unpacks to nothing"}; copy or pack it again`);
  } catch (error) {
    content.close();
    throw error;
  }
}

function inputOf(path: string, content: Content, damage: string | null): OpenedInput {
  return {
    path,
    size: content.size,
    read: (offset, length, into) => {
      try {
        return content.read(offset, length, into);
      } catch (error) {
        throw asUnreadable(path, error);
      }
    },
    head: content.read(0, HEAD),
    lines: null,
    damage,
    close: () => content.close(),
  };
}

/** Text is handed on line by line as it comes; everything else needs random access. */
async function openStream(stream: Readable): Promise<OpenedInput> {
  const chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  const { head, next } = await readHead(chunks);
  async function* all() {
    yield head;
    for (let chunk = await next; chunk.done !== true; chunk = await chunks.next()) yield chunk.value;
  }
  if (head.length > 0 && detectWrapper(head) === null && !head.includes(0)) {
    return {
      path: "-",
      size: null,
      read: () => Buffer.alloc(0),
      head: head.subarray(0, HEAD),
      lines: linesOf(all()),
      damage: null,
      close: () => stream.destroy(),
    };
  }
  const spool = new Spool();
  for await (const chunk of all()) spool.append(chunk);
  return unpack("-", spool);
}

/** What there is for detection: 64 KiB, or all, or what a live stream sends before it pauses. */
async function readHead(
  chunks: AsyncIterator<Buffer>,
): Promise<{ head: Buffer; next: Promise<IteratorResult<Buffer>> }> {
  let head: Buffer = Buffer.alloc(0);
  let next = chunks.next();
  while (head.length < HEAD) {
    const chunk = await (head.includes("\n") ? orQuiet(next) : next);
    if (chunk === "quiet" || chunk.done === true) break;
    head = Buffer.concat([head, chunk.value]);
    next = chunks.next();
  }
  return { head, next };
}

async function orQuiet<Result>(promise: Promise<Result>): Promise<Result | "quiet"> {
  let timer: NodeJS.Timeout | undefined;
  const quiet = new Promise<"quiet">((resolve) => {
    timer = setTimeout(() => resolve("quiet"), QUIET);
  });
  try {
    return await Promise.race([promise, quiet]);
  } finally {
    clearTimeout(timer);
  }
}

async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<string> {
  // The types of split2 lack skipOverflow.
  const splitter = split2({ maxLength: LONGEST_LINE, skipOverflow: true } as split2.Options);
  try {
    // The callback is there because pipeline() wants one: iterating throws what it would be told.
    yield* pipeline(Readable.from(chunks, { objectMode: false }), splitter, () => {});
  } catch (error) {
    throw asUnreadable("-", error);
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file; check the name",
  ENOTDIR: "there is no such file; check the name",
  EACCES: "permission denied; read it as root, or have it copied for you",
  EPERM: "permission denied; read it as root, or have it copied for you",
  EAGAIN: "is a live stream; pipe it in and name it -",
  ENOSPC: "no space left to unpack it; free some, or name another place in TMPDIR",
};

function asUnreadable(path: string, error: unknown): UnreadableInput {
  if (error instanceof UnreadableInput) return error;
  const name = path === "-" ? "standard input" : path;
  if (error instanceof UnpacksTooLarge) {
    return new UnreadableInput(`${name}: ${error.message}; unpack it yourself if that is right`);
  }
  const { code, message } = error as NodeJS.ErrnoException;
  return new UnreadableInput(`${name}: ${(code && REASONS[code]) ?? `cannot be read (${message})`}`);
}
