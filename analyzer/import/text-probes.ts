/**
 * Which probes a text holds, found by the bytes of name and location, and whether somebody wants them.
 *
 * A refused probe costs two hash lookups a line. The question is asked when an event's stack has been seen, for
 * trace-cmd's text names the probed function nowhere else, and once more if the function becomes known only later.
 */
import type { CallLine } from "./call-line.js";
import { NameSet } from "./name-set.js";
import { parseLocation } from "./text-stack.js";
import type { CodeLocation, Probe, ProbeKind, Stack, Wants } from "./trace-event.js";

/** Names, probed locations and field layouts that are told apart; only made-up input has more. */
const MAX_NAMES = 65_536;
const MAX_SITES = 65_536;
const MAX_LAYOUTS = 16_384;

/** What a name is to the reader, apart from being an event's. */
type Role = "event" | "kernel-stack" | "user-stack" | "print" | "call";

const ROLES = new Map<string, Role>([
  ["kernel_stack", "kernel-stack"],
  ["<stack", "kernel-stack"],
  ["user_stack", "user-stack"],
  ["<user", "user-stack"],
  ["print", "print"],
  ["tracing_mark_write", "print"],
  ["function", "call"],
  ["funcgraph_entry", "call"],
  ["funcgraph_exit", "call"],
]);

/** A probe and the answer of whoever reads. */
export class ProbeChoice {
  private wanted: boolean | null = null;

  constructor(
    readonly probe: Probe,
    private readonly site: ProbeSite,
    private readonly wants: Wants,
  ) {}

  isRefused(): boolean {
    if (this.wanted === null) {
      this.wanted = this.wants(this.probe);
      this.site.settle();
    }
    return !this.wanted;
  }

  wasRefused(): boolean {
    return this.wanted === false;
  }

  askAgain(): void {
    if (this.wanted === false) this.wanted = null;
  }
}

/** A tracepoint, or one place where a probe event of this name was hit; several field layouts are several probes. */
export class ProbeSite {
  /** None of its layouts seen so far is wanted: its events need not be looked at. */
  refused = false;
  private readonly layouts = new Map<string, ProbeChoice>();

  constructor(
    readonly kind: ProbeKind,
    private readonly name: Pick<ProbeName, "system" | "event">,
    readonly at: CodeLocation | null,
    private readonly table: ProbeTable,
  ) {}

  /** The probe of an event with these fields; null when there are more layouts than a real trace has. */
  choose(fields: readonly string[]): ProbeChoice | null {
    const key = fields.join(" ");
    let choice = this.layouts.get(key);
    if (!choice) {
      if (this.table.layoutCount >= MAX_LAYOUTS) return null;
      const { kind, at } = this;
      const name = kind === "print" ? "print" : this.name.event;
      const probe = { kind, system: this.name.system, name, fields, at };
      choice = new ProbeChoice(probe, this, this.table.wants);
      this.layouts.set(key, choice);
      // Refused here and now, its lines are not looked at again. Whether a nameless one is wanted its stack may tell.
      if (this.isNameless() || !choice.isRefused()) this.table.layoutCount++;
    }
    return choice;
  }

  settle(): void {
    this.refused = [...this.layouts.values()].every((choice) => choice.wasRefused());
  }

  /** True when the place is known by its address only. */
  isNameless(): boolean {
    return this.at !== null && this.at.symbol === null && this.at.address !== null;
  }

  /** Takes the function over from a stack. @param offset of the probed instruction in it, null where nobody says */
  setFunction(symbol: string, offset: number | null, module: string | null): void {
    if (!this.at || !this.isNameless()) return;
    this.at.symbol = symbol;
    this.at.offset = offset;
    this.at.module ??= module;
    this.refused = false;
    for (const choice of this.layouts.values()) choice.askAgain();
  }
}

export class ProbeName {
  readonly role: Role;
  /** perf prints `system:name`, ftrace the event's name only. */
  readonly system: string | null;
  readonly event: string;
  next: ProbeName | null = null;
  /** Its lines that are no probe hits. */
  readonly tracepoint: ProbeSite;
  private readonly sites = new Map<number, ProbeSite>();

  constructor(
    readonly text: string,
    readonly bytes: Buffer,
    private readonly table: ProbeTable,
  ) {
    const colon = text.indexOf(":");
    this.system = colon < 0 ? null : text.slice(0, colon);
    this.event = text.slice(colon + 1);
    this.role = ROLES.get(this.event) ?? "event";
    const print = this.role === "print";
    this.tracepoint = new ProbeSite(print ? "print" : "tracepoint", this, null, table);
  }

  /** The site that a body belongs to: a tracepoint's unless the body begins with a probed location. */
  site(buffer: Buffer, start: number, end: number): ProbeSite {
    const first = buffer[start];
    if (first !== 0x28 && first !== 0x5f) return this.tracepoint;
    const hash = hashLocation(buffer, start, end);
    if (hash === null) return this.tracepoint;
    const known = this.sites.get(hash);
    if (known) return known;
    const site = this.table.newSite(this, buffer.toString("latin1", start, Math.min(end, start + MAX_LOCATION)));
    if (site) this.sites.set(hash, site);
    return site ?? this.tracepoint;
  }
}

/** A function that a tracer of functions names: its calls and returns are hits of probes that nobody had to set. */
export interface CalledFunction {
  bytes: Buffer;
  next: CalledFunction | null;
  calls: ProbeSite;
  returns: ProbeSite;
}

export class ProbeTable {
  private readonly names = new Map<number, ProbeName>();
  private nameCount = 0;
  private readonly called = new Map<number, CalledFunction>();
  /** Those that nobody wants to know of; made when the first is met. */
  private refused: NameSet | null = null;
  layoutCount = 0;
  private siteCount = 0;
  private readonly functions = new Map<bigint, { place: CodeLocation | null; sites: ProbeSite[] }>();

  constructor(readonly wants: Wants) {}

  /** The name in `buffer[start, end)`; null when there are more names than a real trace has. */
  find(buffer: Buffer, start: number, end: number, hash: number): ProbeName | null {
    const first = this.names.get(hash) ?? null;
    const known = findName(first, buffer, start, end);
    if (known) return known;
    if (this.nameCount >= MAX_NAMES) return null;
    this.nameCount++;
    const bytes = Buffer.from(buffer.subarray(start, end));
    const name = new ProbeName(bytes.toString("latin1"), bytes, this);
    name.next = first;
    this.names.set(hash, name);
    return name;
  }

  /** The function that a line of a function tracer names; null where nobody wants to know of it. */
  findCalled(buffer: Buffer, { nameStart, nameEnd, nameHash }: CallLine): CalledFunction | null {
    this.refused ??= new NameSet();
    if (this.refused.has(buffer, nameStart, nameEnd, nameHash)) return null;
    const first = this.called.get(nameHash) ?? null;
    const known = findName(first, buffer, nameStart, nameEnd);
    if (known) return known;
    if (this.refused.isFull) return null;
    const bytes = Buffer.from(buffer.subarray(nameStart, nameEnd));
    const event = bytes.toString("latin1");
    const at = { address: null, symbol: event, offset: 0, module: null };
    if (!this.wants({ kind: "kprobe", system: null, name: event, fields: [], at })) {
      this.refused.add(buffer, nameStart, nameEnd, nameHash);
      return null;
    }
    const site = (kind: ProbeKind) => new ProbeSite(kind, { system: null, event }, at, this);
    const called = { bytes, next: first, calls: site("kprobe"), returns: site("kretprobe") };
    this.called.set(nameHash, called);
    return called;
  }

  /** The site of a body not met before; null when there are too many to remember. */
  newSite(name: ProbeName, body: string): ProbeSite | null {
    if (this.siteCount >= MAX_SITES) return null;
    this.siteCount++;
    const location = probedLocation(body);
    if (!location) return name.tracepoint;
    const site = new ProbeSite(location.kind, name, location.at, this);
    const address = location.at.address;
    if (address !== null && site.isNameless()) {
      const known = this.functions.get(address) ?? { place: null, sites: [] };
      known.sites.push(site);
      this.functions.set(address, known);
      if (known.place) setFunction(site, known.place);
    }
    return site;
  }

  /**
   * A kprobe's stack begins at the probed instruction (arm64) or one byte behind it (x86, int3): there the function
   * stands by name. Return probes of the same address learn it, too.
   */
  learn(site: ProbeSite, stack: Stack): void {
    const top = stack.frames[0];
    const address = site.at?.address;
    if (site.kind !== "kprobe" || !top?.symbol || address == null) return;
    if (top.address !== null && top.address !== address && top.address !== address + 1n) return;
    const known = this.functions.get(address);
    if (!known) return;
    known.place = { ...top, address, offset: offsetOf(address, top) };
    for (const other of known.sites) setFunction(other, known.place);
  }
}

/** How far behind its function's start a probed instruction lies, by the stack's first frame. */
function offsetOf(address: bigint, top: CodeLocation): number | null {
  if (top.address !== null) return top.offset === null ? null : top.offset - Number(top.address - address);
  // Names alone (`trace-cmd report -N`). x86 functions begin at multiples of 16, with a 4-byte endbr or without.
  const behind = Number(address & 15n);
  return behind === 0 || behind === 4 ? null : behind;
}

function setFunction(site: ProbeSite, { symbol, offset, module }: CodeLocation): void {
  if (symbol !== null) site.setFunction(symbol, offset, module);
}

/** Longest `(RET+0x.. [MOD] <- FUNC)`: two names of KSYM_NAME_LEN. */
const MAX_LOCATION = 1200;

/** `(A)` or `(A <- B)`; with `trace-cmd report -R` the address fields by name. */
const PARENTHESES = /^\((.+?)(?: <- (.+?))?\)/;
const RAW_FIELDS = /^__probe_(?:ip=(?:0x)?([0-9a-f]+)|func=(?:0x)?([0-9a-f]+) __probe_ret_ip=(?:0x)?([0-9a-f]+))/;

export interface ProbedLocation {
  kind: "kprobe" | "kretprobe";
  at: CodeLocation;
  returnsTo: CodeLocation | null;
  /** Characters that it takes in the body. */
  length: number;
}

/**
 * The location that a probe event's body begins with. null when the body is a tracepoint's, an eprobe's or (user
 * addresses) a uprobe's. The kernel prints `(RETURN+0x1/0x2 <- FUNCTION)`, trace-cmd `(function <- return)`, both
 * as bare hex.
 */
export function probedLocation(body: string): ProbedLocation | null {
  const raw = RAW_FIELDS.exec(body);
  if (raw) return toLocation(raw[1] ?? raw[2]!, raw[3], raw[0].length);
  const match = PARENTHESES.exec(body);
  if (!match) return null;
  const [all, left, right] = match;
  if (right !== undefined && isKernelStyle(left!)) return toLocation(right, left!, all.length);
  return toLocation(left!, right, all.length);
}

function toLocation(at: string, returnsTo: string | undefined, length: number): ProbedLocation | null {
  const location = parseLocation(at);
  const known = location.symbol !== null && (returnsTo !== undefined || location.offset !== null);
  if (!known && !isKernelAddress(at, location.address)) return null;
  if (returnsTo === undefined) return { kind: "kprobe", at: location, returnsTo: null, length };
  return { kind: "kretprobe", at: location, returnsTo: parseLocation(returnsTo), length };
}

/** Where several return probes sit on one call the kernel prints `[unknown/kretprobe'd]`. */
function isKernelStyle(left: string): boolean {
  return left.includes("+0x") || left.startsWith("0x") || left.startsWith("[");
}

/** 64-bit kernel addresses have the top bit set; of 32-bit ones only eight digits can be seen. */
function isKernelAddress(text: string, address: bigint | null): boolean {
  if (address === null) return false;
  return address >= 0x8000_0000_0000_0000n || (address >= 0x8000_0000n && /^(?:0x)?[0-9a-f]{8}$/.test(text));
}

/** Hash of the probed side of a location; null when the parenthesis does not close or the body is no -R body. */
function hashLocation(buffer: Buffer, start: number, end: number): number | null {
  const stop = Math.min(end, start + MAX_LOCATION);
  const raw = buffer[start] === 0x5f;
  let kernel = buffer[start + 2] === 0x78 || buffer[start + 1] === 0x5b;
  let left = 0;
  let hash = 0;
  for (let at = start; at < stop; at++) {
    const byte = buffer[at]!;
    if (byte === 0x29 || (raw && byte === 0x20)) return kernel && left !== 0 ? hash : left || hash;
    if (byte === 0x2b && left === 0) kernel = true;
    if (byte === 0x3c && buffer[at + 1] === 0x2d && left === 0) {
      left = hash || 1;
      hash = 0x2d;
    } else {
      hash = Math.imul(hash ^ byte, 0x01000193);
    }
  }
  return raw ? hash : null;
}

/** The one of these bytes in a chain of those with the same hash. */
function findName<T extends { bytes: Buffer; next: T | null }>(
  first: T | null,
  buffer: Buffer,
  start: number,
  end: number,
): T | null {
  for (let name = first; name; name = name.next) if (equals(name.bytes, buffer, start, end)) return name;
  return null;
}

function equals(bytes: Buffer, buffer: Buffer, start: number, end: number): boolean {
  if (bytes.length !== end - start) return false;
  for (let at = 0; at < bytes.length; at++) if (bytes[at] !== buffer[start + at]) return false;
  return true;
}
