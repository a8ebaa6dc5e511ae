/**
 * What a resource class entry of the catalog may say. One YAML file per class is the single source both for
 * probes (collectors) and for what their events mean (analyzer).
 */
import { z } from "zod";
import { parseCondition } from "./condition.js";

/** What an event does to an object (design, section 2). */
export const EFFECTS = [
  "create",
  "destroy",
  "get",
  "put",
  "register",
  "unregister",
  "open",
  "close",
  "link",
  "unlink",
  "queue",
  "run",
  "cancel",
  "use",
] as const;

const identifier = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "must be a C identifier");

/** An argument, `ret` for the result, or a field behind one: a recording calls it by the last name (`ops->owner`). */
const expression = z
  .string()
  .regex(/^[A-Za-z_]\w*(->[A-Za-z_]\w*)*$/, "must be an argument, ret, or a field behind one: ops->owner");

/** When a call counts, told by its return value or an argument. Without one it counts at entry, whatever it returns. */
const condition = z
  .string()
  .refine(
    (text) => parseCondition(text) !== null,
    "must be a test such as ret == 0, ret != NULL, !IS_ERR(ret), handler == NULL, args->flags & 1",
  );

const effect = z.strictObject({
  effect: z.enum(EFFECTS),
  /** What names the object; `ret` for the returned pointer. */
  object: expression.optional(),
  /** `object` points into the object, at most so many bytes behind its start. */
  inside: z.number().int().positive().optional(),
  /** What names the object that this one, or this entry, belongs to. */
  parent: expression.optional(),
  /** The key in the class's table. */
  key: expression.optional(),
  /** The registered operations. */
  ops: expression.optional(),
  /** What no two entries of the class's table may share besides the key. */
  exclusive: expression.optional(),
  /** What owns the reference, for `open` and `close`. */
  holder: z.string().optional(),
  /** Plain count (one of `counts`) that the effect changes, in place of the reference counter. */
  count: identifier.optional(),
  /** Argument that says by how much it changes; `ret` for the result. 1 without. */
  amount: expression.optional(),
  /** The object that a `link` points to, uncounted; NULL clears the pointer. */
  target: expression.optional(),
  /** All must hold. */
  when: z.union([condition, z.array(condition)]).optional(),
  /** It has this effect only inside a call of that function. */
  within: identifier.optional(),
  /** On that function's result: it undoes the effect by itself, with no call that a probe sees. */
  undone: condition.optional(),
  /** Field, recorded at the return, that must be NULL after a refusal. */
  left: identifier.optional(),
  /** `return`: the effect is complete only when the function returns. Implied by `when`. */
  at: z.enum(["entry", "return"]).optional(),
});

const functionEntry = z.strictObject({
  /** C prototype of the newest era. Names the arguments; pointers are told by `*`. */
  prototype: z.string().regex(/^[^()]+\([^()]*\)$/, "must be a C prototype: type name(type arg, ...)"),
  /** Set where the compiler gives callers their own copy: a probe on the function misses those. */
  inlined: z.string().optional(),
  /** Whose fault a refusal is (design, section 8.3). */
  refusal: z.enum(["kernel", "caller"]).optional(),
  /**
   * What probes record besides the arguments, by name: C expressions such as
   * `((struct kvm_vcpu *)filp->private_data)->kvm`. Of several, the first that this kernel's types know.
   */
  record: z.record(identifier, z.union([z.string(), z.array(z.string())])).default({}),
  /** Objects that it makes and stores, by the effects' name for them: `container: filep->private_data`. */
  stores: z.record(identifier, z.string().regex(/^\w+->[\w.]+$/, "must be argument->field")).default({}),
  /** How often it is called: now and then, a few times per object, or so often that its probe is off unless asked for. */
  rate: z.enum(["rare", "per-object", "hot"]).default("per-object"),
  /** Function that calls it, as a step of what is over only when that one returns. */
  phase_of: identifier.optional(),
  /** Set when it waits until nobody holds the object any more. */
  blocks: z.boolean().optional(),
  effects: z.array(effect).default([]),
});

const tracepointEntry = z.strictObject({
  effect: z.enum(EFFECTS),
  object: identifier,
  /** Field with the counter's value after the operation. */
  refs_after: identifier.optional(),
  /** Field with the function that a work runs: the class that claims it is meant. */
  function: identifier.optional(),
  /** As of functions. */
  rate: z.enum(["rare", "per-object", "hot"]).default("rare"),
});

const siteEntry = z.strictObject({
  effect: z.enum(["get", "put"]),
  /** A compare-and-exchange: an attempt that may fail or be repeated. */
  try: z.boolean().optional(),
  /** Holders that take their reference here: shows how many were opened where no function of their own does. */
  holders: z.array(z.string()).optional(),
  note: z.string().optional(),
});

/** A bug of the past, to compare a kernel report with. */
const historyEntry = z.strictObject({
  /** Commit that fixed it, and the kernel's own title of that commit. */
  commit: z.string().regex(/^[0-9a-f]{8,40}$/, "must be a commit hash"),
  title: z.string(),
  cve: z.string().optional(),
  rule: z.string(),
  /** Functions that its splats show. */
  functions: z.array(identifier).default([]),
});

/** What must not happen when: one of `while`, `during`, `before`, `inside`. */
const orderEntry = z
  .strictObject({
    /** The function that comes at the wrong time; `last put` of an object of the class. */
    not: z.string(),
    /** ... while an entry of the class is registered, or an instance of it up. */
    while: z.enum(["registered", "up"]).optional(),
    /** With `while`: argument that equals the entry's key or what it excludes others by. */
    by: identifier.optional(),
    /** ... while another task is in this function. */
    during: identifier.optional(),
    /** ... before this function was called, in one call of `within`; `get`: before a reference of the class was taken. */
    before: identifier.optional(),
    within: identifier.optional(),
    /** ... inside this function. */
    inside: identifier.optional(),
    variant: z.enum(["phase", "put-before-get", "put-in-callback", "free-before-grace"]).default("phase"),
    /** Commit that mended it. */
    fixed: z.string().optional(),
  })
  .refine(
    (row) => [row.while, row.during, row.before, row.inside].filter((word) => word !== undefined).length === 1,
    "needs exactly one of while, during, before, inside",
  );

export const classSchema = z.strictObject({
  class: z.string().regex(/^[a-z][a-z0-9_]*$/, "must be lower case letters, digits and _"),
  title: z.string(),
  kind: z.enum(["counted", "object", "entry", "instance", "machine"]),
  /** Module that the functions live in. */
  module: z.string().optional(),
  /** Modules whose load and unload are sure to change objects of this class. */
  loaded_by: z.array(z.string()).default([]),
  /** Modules, besides `module`, whose code a live object runs: it must not outlive them. */
  runs_code_of: z.array(z.string()).default([]),
  struct: identifier.optional(),
  /** Argument names by which recordings call the object. */
  names: z.array(identifier).optional(),
  parent: z.string().optional(),
  /**
   * Files that alone keep such an object alive, by how the names begin that /proc/PID/fd shows: when nobody has one
   * open, it is over.
   */
  files: z.array(z.string()).optional(),
  counter: z
    .strictObject({
      /** BTF path in `struct`; a list is tried in order. */
      field: z.union([z.string(), z.array(z.string())]).optional(),
      /** Bytes from the struct's start, for kernels whose BTF does not know it: only where every era has it there. */
      offset: z.number().int().optional(),
      /** Field names by which recordings call the counter's value, besides `refs`. */
      names: z.array(identifier).default([]),
      /** Value when the object has just been created. */
      initial: z.number().int(),
      /** Value at which nobody holds it any more. */
      unused: z.number().int(),
    })
    .optional(),
  /** Counts of the object that are no reference counters, by the name of their field. */
  counts: z
    .record(
      identifier,
      z.strictObject({
        title: z.string(),
        /** Field names by which recordings call its value, besides its own. */
        names: z.array(identifier).default([]),
        /** Set where a decrement at zero changes nothing and is legal. */
        stops_at_zero: z.boolean().optional(),
        /** Variant of an inequality when the last file of a VFIO device is closed; without one it is not judged. */
        unequal: z.enum(["pair-count", "pin-imbalance"]).optional(),
        /** Functions that leave as they found it, when they return; judged then, and not at a close. */
        even_after: z.array(identifier).default([]),
        /** Set where it is never counted up again before it is counted down. */
        once: z.boolean().optional(),
      }),
    )
    .default({}),
  table: z
    .strictObject({
      /** What the key is called; without one the table is a single slot. */
      key: identifier.optional(),
      ops: identifier.optional(),
      /** What entries exclude each other by, besides their key. */
      exclusive: identifier.optional(),
      key_names: z.record(z.coerce.number(), z.string()).optional(),
      /** What the table does with a key it has already. */
      duplicate: z.enum(["refused", "accepted"]),
      duplicate_errors: z.array(z.string()).default([]),
      /** Errors by which the table refuses keys that it has no place for: an unregister of one reaches beyond it. */
      range_errors: z.array(z.string()).default([]),
      /** Set when the same error has other causes: without a known entry in the way it proves nothing. */
      duplicate_error_ambiguous: z.string().optional(),
      /** Module that the table is part of: its unload ends all entries. Without one it is the kernel's own. */
      home: z.string().optional(),
      /**
       * Class of the instance or object whose end must end the entry (an effect's `parent` says which one); `module`:
       * the module that registered it.
       */
      owner: z.string(),
      /** Class of the object under the entry's key whose own `parent` names the owner. */
      owner_by: z.string().optional(),
      /** Set where the owner's end takes its entries along. */
      owner_end: z.enum(["legal"]).optional(),
      /** Whether unregistering an empty slot is legal, or merely goes unnoticed. */
      empty_unregister: z.enum(["legal", "silent"]),
    })
    .optional(),
  /** A state machine: its functions look up the state that comes next (a class of kind `machine`). */
  machine: z
    .strictObject({
      /** Names of the states 0, 1, 2, … */
      states: z.array(z.string()),
      /** The state that a reset leads to, from any other. */
      reset: z.string(),
      /** The state that a failed step may lead to, and that only a reset leaves. */
      error: z.string(),
      /** Fields by which recordings call the present, the wanted and the next state, and the flags. */
      names: z.strictObject({
        from: z.array(identifier),
        to: z.array(identifier),
        next: z.array(identifier),
        flags: z.array(identifier),
      }),
      /** Arcs that a driver may be sent along, by the flags in force. */
      arcs: z.record(z.coerce.number(), z.record(z.string(), z.array(z.string()))),
      /** Requests that no flags allow. */
      blocked: z.record(z.string(), z.array(z.string())),
    })
    .optional(),
  functions: z.record(identifier, functionEntry).default({}),
  tracepoints: z.record(z.string().regex(/^\w+:\w+$/, "must be system:event"), tracepointEntry).default({}),
  sites: z.record(identifier, siteEntry).default({}),
  /** Deferred work that belongs to objects of the class. */
  works: z
    .strictObject({
      functions: z.array(identifier),
      /** Class of the objects that the work uses: it must not run when they are gone. */
      of: z.string().optional(),
      /** Functions that end what queues the work, and the argument with the object that the work lies in. */
      until: z.record(identifier, identifier).default({}),
    })
    .optional(),
  /** References on modules: the function that takes one, and those of which each call gives one back. */
  module_refs: z.array(z.strictObject({ get: identifier, put: z.array(identifier) })).default([]),
  /** Orders of setup and teardown that the class forbids. */
  order: z.array(orderEntry).default([]),
  /** How bugs of a rule were fixed in this class, with the commit. */
  fixed_before: z.record(z.string(), z.string()).default({}),
  /** What a WARN of the kernel's own in these functions points to. */
  warnings: z.record(identifier, z.strictObject({ rule: z.string(), variant: z.string() })).default({}),
  history: z.array(historyEntry).default([]),
});

export type Effect = (typeof EFFECTS)[number];
export type OrderEntry = z.infer<typeof orderEntry>;
export type ClassEntry = z.infer<typeof classSchema>;
export type EffectEntry = z.infer<typeof effect>;
export type FunctionEntry = z.infer<typeof functionEntry>;
export type HistoryEntry = z.infer<typeof historyEntry>;
