import { callChain } from "../decode/call-chain.js";
import { isCallOf } from "../decode/calls.js";
import type { AuditEvent, Call } from "../decode/operation.js";
import type { Owner } from "../lifecycle/owners.js";
import { keep } from "./cases.js";
import type { RuleContext } from "./rule.js";

/** Module memory is mapped by whole pages (module_alloc): code in one page is of one module. */
const PAGE_BITS = 12n;

/**
 * Where modules were that are gone, and so are their symbols: the stack of what an exit function calls has the function's
 * own address, below delete_module(), and the task frees that module next.
 */
export class ExitedCode {
  readonly #context: RuleContext;
  readonly #exits: { entry: AuditEvent; address: bigint }[] = [];

  constructor(context: RuleContext) {
    this.#context = context;
  }

  /** Any call of a catalogued function; only what an exit undoes is looked at. */
  note({ entry, function: { meanings } }: Call): void {
    if (!entry.stack || !meanings.some((meaning) => meaning.entry.effects.some(({ effect }) => isUndoing(effect))))
      return;
    const chain = callChain(this.#context.symbols(entry.source), entry);
    const caller = chain[chain.findIndex((name) => isCallOf(name, "delete_module")) - 1];
    if (caller?.startsWith("0x")) keep(this.#exits, { entry, address: BigInt(caller) });
  }

  /** The module that an address was in, where it was unloaded before `event` and no other was loaded since. */
  moduleAt(address: bigint, event: AuditEvent): Owner | null {
    const modules = [...this.#context.world.owners.known].filter(({ kind }) => kind === "module");
    for (const exit of this.#exits) {
      if (exit.address >> PAGE_BITS !== address >> PAGE_BITS) continue;
      const freed = modules
        .filter(({ endedBy }) => endedBy?.event.tid === exit.entry.tid && endedBy.event.id > exit.entry.id)
        .sort((a, b) => (a.endedBy?.event.id ?? 0) - (b.endedBy?.event.id ?? 0))[0];
      const end = freed?.endedBy?.event;
      if (!freed || !end || end.id >= event.id) continue;
      const isTaken = modules.some(({ began }) => began !== null && began.id > end.id && began.id < event.id);
      if (!isTaken) return freed;
    }
    return null;
  }
}

function isUndoing(effect: string): boolean {
  return effect === "unregister" || effect === "cancel" || effect === "destroy" || effect === "put";
}
