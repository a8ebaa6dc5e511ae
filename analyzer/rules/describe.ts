/** Words for objects, operations and values, as a kernel developer writes them. */
import { ERRNO } from "../../collectors/catalog/errno.js";
import type { ClassEntry } from "../../collectors/catalog/schema.js";
import { callChain } from "../decode/call-chain.js";
import type { AuditEvent, ObjectKey, Operation } from "../decode/operation.js";
import type { KernelObject } from "../lifecycle/objects.js";
import type { Registration } from "../lifecycle/registrations.js";
import type { FindingObject } from "./finding.js";
import type { RuleContext } from "./rule.js";

const ERRNO_NAMES = new Map(Object.entries(ERRNO).map(([name, number]) => [number, name]));

/** `-17` -> `-EEXIST`; other values as they are. */
export function describeResult(result: number): string {
  const name = result < 0 ? ERRNO_NAMES.get(-result) : undefined;
  return name === undefined ? String(result) : `-${name}`;
}

export function describeKey(key: ObjectKey): string {
  return typeof key === "string" ? key : `0x${key.toString(16)}`;
}

/** A key of a table: a number, or the address of a struct. */
export function describeEntryKey(key: bigint): string {
  return key > 0xffff_ffffn ? describeKey(key) : String(key);
}

/** Name of the data symbol at an address, when it is exactly one. */
export function symbolAt(context: Pick<RuleContext, "symbols">, event: AuditEvent, address: bigint): string | null {
  // A recording may have resolved it itself (`sym=kvm_vfio_ops+0x0`).
  for (const value of event.args) {
    const match = typeof value === "string" ? /^([A-Za-z_]\w*)\+0x0\b/.exec(value) : null;
    if (match?.[1]) return match[1];
  }
  const nearest = context.symbols(event.source)?.nearest(address) ?? null;
  return nearest !== null && nearest.offset === 0n ? nearest.symbol : null;
}

/** `kvm_register_device_ops(type=4, ops=kvm_vfio_ops) = -EEXIST` */
export function describeCall(context: Pick<RuleContext, "symbols">, operation: Operation): string {
  const { call } = operation;
  if (operation.class.class === "module") return `${operation.function} ${String(operation.object)}`;
  const values: string[] = [];
  const parameters = call?.function.prototype.parameters ?? [];
  for (const [index, parameter] of parameters.entries()) {
    const value = call?.parameters[index] ?? null;
    if (value === null) continue;
    const symbol = parameter.pointer ? symbolAt(context, operation.event, value) : null;
    values.push(`${parameter.name}=${symbol ?? (parameter.pointer ? describeKey(value) : String(value))}`);
  }
  if (values.length === 0 && operation.object !== null) values.push(describeKey(operation.object));
  const refs = operation.read === null ? "" : ` [refs ${operation.read.value}${operation.read.guess ? "?" : ""}]`;
  const result = operation.result === null ? "" : ` = ${describeResult(operation.result)}`;
  // An instruction inside a function is no call of it.
  if (operation.site) return `${operation.function}: ${operation.effect} ${values.join(", ")}${refs}`;
  return `${operation.function}(${values.join(", ")})${result}${refs}`;
}

export function describeObject(object: KernelObject): FindingObject {
  const again = object.generation > 1 ? `, ${ordinal(object.generation)} at this address` : "";
  const isNamed = typeof object.key === "string";
  return {
    label: isNamed ? `${object.class.title} ${object.key}` : `${object.class.title} ${describeKey(object.key)}${again}`,
    address: isNamed ? null : (object.key as bigint),
    key: isNamed ? (object.key as string) : null,
    generation: object.generation,
  };
}

/** `kvm_device_ops type 4 (kvm_vfio_ops)`; the key is null where only the register's return was recorded. */
export function describeEntry(
  context: RuleContext,
  entry: ClassEntry,
  key: bigint | null,
  registered: Operation,
  generation: number,
): FindingObject {
  if (key === null) return { label: `${entry.title} under an unknown key`, address: null, key: null, generation };
  const table = entry.table;
  if (table !== undefined && table.key === undefined) {
    const symbol = registered.ops === null ? null : symbolAt(context, registered.event, registered.ops);
    const label = symbol === null ? entry.title : `${entry.title} (${symbol})`;
    return { label, address: registered.ops, key: null, generation };
  }
  const isPointer = table !== undefined && table.key === table.ops;
  const ops = registered.ops === null ? null : symbolAt(context, registered.event, registered.ops);
  const name = isPointer ? (ops ?? describeKey(key)) : `${table?.key ?? "key"} ${describeEntryKey(key)}`;
  const known = ops ?? table?.key_names?.[Number(key)] ?? null;
  return {
    label: isPointer || known === null ? `${entry.title} ${name}` : `${entry.title} ${name} (${known})`,
    address: isPointer ? key : registered.ops,
    key: isPointer ? describeKey(key) : describeEntryKey(key),
    generation,
  };
}

export function describeRegistration(context: RuleContext, entry: Registration): FindingObject {
  return describeEntry(context, entry.class, entry.key, entry.registered, entry.generation);
}

/** The function that called an operation's, by its stack; the operation's own where that does not tell. */
export function callerOf(context: RuleContext, operation: Operation): string {
  const names = callChain(context.symbols(operation.event.source), operation.event);
  const own = names.indexOf(operation.function);
  const caller = own < 0 ? undefined : names[own + 1];
  return caller !== undefined && /^[A-Za-z_]\w*$/.test(caller) && !caller.includes("trampoline")
    ? caller
    : operation.function;
}

function ordinal(n: number): string {
  const suffix = n % 100 >= 11 && n % 100 <= 13 ? "th" : (["th", "st", "nd", "rd"][n % 10] ?? "th");
  return `${n}${suffix}`;
}
