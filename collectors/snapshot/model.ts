/**
 * A snapshot: what the kernel's objects were at one moment, without a trace. Plain JSON: addresses are strings `0x…`,
 * times decimal nanoseconds. Written by `ktally snapshot` and at a recording's start and end; read by the analyzer.
 */
import { z } from "zod";

const address = z.string().regex(/^0x[0-9a-f]{1,16}$/, "must be an address 0x…");
const reference = z.strictObject({ class: z.string(), address });

const object = z.strictObject({
  class: z.string(),
  address,
  /** Object that it was found in. */
  parent: reference.nullable(),
  /** The counter that the class's references are counted by; null where it could not be read. */
  refs: z.int().nullable(),
  /** When it was read (CLOCK_MONOTONIC). */
  read_ns: z.string().regex(/^\d+$/),
  /** Further values, by the names of structures.yaml: numbers, names. */
  values: z.record(z.string(), z.union([z.number(), z.string(), z.boolean()])),
  /** Pointers to other objects, by their names; those that are NULL are left out. */
  links: z.record(z.string(), address),
});

const file = z.strictObject({
  pid: z.int(),
  comm: z.string(),
  fd: z.int(),
  /** As /proc/PID/fd shows it: `anon_inode:kvm-vm`, `/dev/vfio/12`. */
  link: z.string(),
  /** struct file; processes that share a file by fork or SCM_RIGHTS show the same. null: not readable. */
  file: address.nullable(),
  /** References on the file itself: more than the descriptors seen are held by mappings, sockets or the kernel. */
  count: z.int().nullable(),
  /** What the file is open on. */
  object: reference.nullable(),
  /** Of an eventfd: its id in fdinfo. */
  id: z.int().nullable(),
});

const moduleEntry = z.strictObject({
  name: z.string(),
  refs: z.int(),
  /** Modules that use it. */
  holders: z.array(z.string()),
});

const waiter = z.strictObject({
  pid: z.int(),
  tid: z.int(),
  comm: z.string(),
  /** Kernel functions, innermost first. */
  stack: z.array(z.string()),
});

const entry = z.strictObject({ class: z.string(), key: z.int(), ops: address, symbol: z.string().nullable() });

export const snapshotModel = z.strictObject({
  ktally: z.literal("snapshot"),
  schema: z.literal(1),
  version: z.string(),
  kernel: z.string(),
  /** Time since boot (CLOCK_MONOTONIC) at start and end of taking it, and date. */
  began_ns: z.string().regex(/^\d+$/),
  ended_ns: z.string().regex(/^\d+$/),
  date: z.string(),
  objects: z.array(object),
  /** Entries of the kernel's tables. */
  entries: z.array(entry),
  files: z.array(file),
  /** Files kept by a mapping, as /proc/PID/maps shows them. */
  mappings: z.array(z.strictObject({ pid: z.int(), comm: z.string(), link: z.string(), count: z.int() })),
  /** Devices of IOMMU groups and who drives them, as sysfs shows them. */
  devices: z.array(z.strictObject({ name: z.string(), group: z.string(), driver: z.string().nullable() })),
  modules: z.array(moduleEntry),
  /** Threads that wait in the kernel, uninterruptibly, inside kvm or vfio. */
  waiters: z.array(waiter),
  /** What could not be read, and why: sentences. */
  unread: z.array(z.string()),
});

export type Snapshot = z.infer<typeof snapshotModel>;
export type SnapshotObject = z.infer<typeof object>;
export type SnapshotFile = z.infer<typeof file>;
