/** The JSON of `analyze --format json`: stable and versioned. `audit.schema.json` is made from this. */
import { z } from "zod";

const nanoseconds = z
  .string()
  .regex(/^-?\d+$/)
  .describe("decimal nanoseconds of the trace clock");
const address = z
  .string()
  .regex(/^0x[0-9a-f]+$/)
  .describe("64-bit kernel address");
const reason = z.strictObject({
  code: z.string().describe("one of a closed list"),
  text: z.string(),
  probe: z.string().nullable(),
});
const verdict = z.enum(["proven", "derived", "suspected"]);

const source = z.strictObject({
  path: z.string(),
  format: z.string(),
  events: z.int().describe("records with a time, kernel_stack records included"),
  relevant: z.int().describe("of these, used for judging"),
  lost: z.strictObject({
    known: z.int().describe("events that the source itself counts as missing"),
    places: z.int().describe("places where events are missing, counted or not"),
  }),
  first_ns: nanoseconds.nullable(),
  last_ns: nanoseconds.nullable(),
  diagnostics: z.array(
    z.strictObject({
      severity: z.string(),
      offset: z.int().nullable(),
      line: z.int().nullable(),
      message: z.string(),
    }),
  ),
});

const event = z.strictObject({
  time_ns: nanoseconds,
  cpu: z.int(),
  tid: z.int(),
  comm: z.string(),
  function: z.string(),
  effect: z.string().nullable(),
  delta: z.int().nullable(),
  refs: z.int().nullable().describe("counter as the event read it"),
  result: z.int().nullable(),
  stack: z.array(z.string()),
});

const finding = z.strictObject({
  id: z.int(),
  rule: z.string(),
  variant: z.string(),
  level: z.enum(["error", "note"]),
  verdict,
  lowered_by: z.array(reason),
  class: z.string(),
  object: z.strictObject({
    label: z.string(),
    address: address.nullable(),
    key: z.string().nullable(),
    generation: z.int(),
  }),
  consequence_of: z.int().nullable().describe("id of the root cause"),
  fingerprint: z.string().describe("the same in other runs and boots"),
  title: z.string(),
  explanation: z.string(),
  expected: z.string(),
  fixed_by: z.string().nullable(),
  suppressed_by: z.string().nullable().describe("the user's pattern, or baseline: does not count"),
  culprit: z.strictObject({ function: z.string(), site: z.string().nullable(), stack: z.array(z.string()) }),
  events: z.array(event),
});

const object = z.strictObject({
  class: z.string(),
  label: z.string(),
  address: address.nullable(),
  generation: z.int(),
  state: z.enum(["alive", "destroyed", "replaced"]),
  created_ns: nanoseconds.nullable(),
  destroyed_ns: nanoseconds.nullable(),
  refs_last: z.int().nullable(),
  holders: z.array(z.string()),
});

const coverage = z.strictObject({
  class: z.string(),
  state: z.enum(["complete", "partial", "blind", "absent"]),
  judged: z.boolean(),
  reasons: z.array(reason),
});

const report = z
  .strictObject({
    source: z.int().describe("index in sources"),
    line: z.int(),
    kind: z.string().describe("warning, refcount, kasan, hung-task, ..."),
    bug: z.string().describe("its variety, may be empty"),
    title: z.string(),
    time_ns: nanoseconds.nullable(),
    clock: z.enum(["boot", "wall"]).nullable(),
    tid: z.int().nullable(),
    comm: z.string().nullable(),
    kernel: z.string().nullable(),
    function: z.string(),
    code: z.string().nullable().describe("file:line"),
    stack: z.array(z.string()),
    class: z.string().nullable(),
    rule: z.string().nullable(),
    finding: z.int().nullable().describe("id of the finding that it proves or makes"),
    looks_like: z.array(z.string()).describe("bugs of the past"),
    learn: z.string().nullable().describe("command that would show more"),
  })
  .describe("a report of the kernel's log");

export const auditJson = z
  .strictObject({
    schema: z.literal(1),
    version: z.string(),
    exit: z.int(),
    sources: z.array(source),
    findings: z.array(finding),
    objects: z.array(object),
    coverage: z.array(coverage),
    reports: z.array(report),
  })
  .describe("What ktally analyze found");

/** The JSON Schema that is published beside this file. */
export function auditJsonSchema(): object {
  return z.toJSONSchema(auditJson);
}

export type FindingJson = z.infer<typeof finding>;
export type ObjectJson = z.infer<typeof object>;
export type ReportJson = z.infer<typeof report>;
