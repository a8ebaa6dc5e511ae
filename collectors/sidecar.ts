/** Where a recording's description of itself is kept: beside the trace. */
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { z } from "zod";
import type { Recording } from "./recording.js";
import { snapshotModel } from "./snapshot/model.js";

const nanoseconds = z.string().regex(/^\d+$/, "must be decimal nanoseconds");
const count = z.number().nonnegative();
const file = z.object({ pid: count, comm: z.string(), file: z.string() });

/** What is relied on; a later version may add to it. */
const schema = z.looseObject({
  schema: z.literal(1),
  version: z.string(),
  backend: z.enum(["trace-cmd", "trace_pipe", "bpftrace"]),
  clock: z.literal("mono"),
  plan: z.looseObject({
    schema: z.literal(1),
    modules: z.record(z.string(), z.looseObject({})),
    probes: z.array(
      z.looseObject({
        event: z.string(),
        kind: z.enum(["kprobe", "kretprobe", "tracepoint"]),
        module: z.string().nullable(),
        symbol: z.string(),
        offset: count,
        function: z.string(),
        classes: z.array(z.string()),
        site: z.looseObject({}).nullable(),
        filter: z.string().nullable(),
      }),
    ),
    classes: z.array(
      z.looseObject({
        class: z.string(),
        covered: z.enum(["exactly", "holders", "partly", "not"]),
        missing: z.array(z.looseObject({ function: z.string(), reason: z.string(), text: z.string() })),
      }),
    ),
  }),
  unarmed: z.array(
    z.looseObject({
      event: z.string(),
      why: z.enum(["refused", "hot", "guard"]),
      text: z.string(),
      atNs: nanoseconds.nullable(),
    }),
  ),
  narrowed: z.string().nullish(),
  startedNs: nanoseconds,
  endedNs: nanoseconds.nullable(),
  counts: z.record(z.string(), z.looseObject({ hits: count, missed: count })),
  losses: z.array(z.looseObject({ cpu: count, overrun: count, dropped: count })),
  modules: z.array(
    z.looseObject({
      atNs: nanoseconds,
      beforeNs: nanoseconds,
      name: z.string(),
      build: z.enum(["absent", "planned", "other"]),
    }),
  ),
  command: z.looseObject({ pid: count.nullable(), status: count }).nullable(),
  settled: z.looseObject({ quiet: z.boolean() }).nullable(),
  openBefore: z.array(file),
  openAfter: z.array(file),
  allProcessesSeen: z.boolean(),
  snapshots: z.array(snapshotModel).optional(),
});

/** The path of a trace's sidecar. */
export function sidecarPath(trace: string): string {
  return `${trace}.ktally.json`;
}

/** Writes the sidecar; whoever reads it meanwhile sees the old one or the new one. */
export function writeRecording(trace: string, recording: Recording): void {
  const path = sidecarPath(trace);
  writeFileSync(`${path}.new`, `${JSON.stringify(recording, null, 1)}\n`);
  renameSync(`${path}.new`, path);
}

/**
 * The sidecar of a trace; null where there is none. A packed trace has that of the plain one.
 * @throws SyntaxError when it is no recording of ours.
 */
export function readRecording(trace: string): Recording | null {
  const path = [trace, trace.replace(/\.(gz|xz|zst)$/, "")].map(sidecarPath).find(existsSync);
  if (path === undefined) return null;
  const read = schema.safeParse(JSON.parse(readFileSync(path, "utf8")));
  if (read.success) return read.data as unknown as Recording;
  const [issue] = read.error.issues;
  throw new SyntaxError(`${path}: ${issue?.path.join(".")}: ${issue?.message}`);
}
