/**
 * Watches a recording while it runs: counts hits, switches off what is too hot for somebody's production host, and
 * notices when a module of the plan comes back as another build.
 */
import { isSameBuild } from "../modules.js";
import type { PlannedProbe, ProbePlan } from "../plan.js";
import type { ModuleSeen, Unarmed } from "../recording.js";
import type { BuildOf } from "./arm.js";
import { GROUP } from "./kprobe-events.js";
import type { ProbeCount, Tracefs } from "./tracefs.js";

export interface WatchOptions {
  plan: ProbePlan;
  /** Hits per second of all probes together above which the hottest are switched off. */
  limit: number;
  /** Time on the trace's clock, in nanoseconds. */
  now(): bigint;
  buildOf: BuildOf;
  /** Writes into the trace. */
  mark(text: string): void;
}

export class Watch {
  readonly unarmed: Unarmed[] = [];
  readonly modules: ModuleSeen[] = [];
  readonly #tracefs: Tracefs;
  readonly #options: WatchOptions;
  readonly #probes: ReadonlyMap<string, PlannedProbe>;
  /** As read last, and what earlier lives of the same probe had counted. */
  #last = new Map<string, ProbeCount>();
  readonly #before = new Map<string, ProbeCount>();
  #lastTime: bigint;
  #lastModuleLook: bigint;

  constructor(tracefs: Tracefs, options: WatchOptions) {
    this.#tracefs = tracefs;
    this.#options = options;
    this.#probes = new Map(options.plan.probes.map((probe) => [probe.event, probe]));
    this.#lastTime = options.now();
    this.#lastModuleLook = this.#lastTime;
  }

  /** One look; several in a second are fine. */
  look(): void {
    this.#lookAtModules();
    const now = this.#options.now();
    const counts = this.#tracefs.profile();
    const seconds = Number(now - this.#lastTime) / 1e9;
    if (seconds <= 0) return;
    const rates: { event: string; rate: number }[] = [];
    for (const [event, { hits, missed }] of counts) {
      const last = this.#last.get(event) ?? { hits: 0, missed: 0 };
      if (hits < last.hits || missed < last.missed) this.#keep(event, last);
      rates.push({ event, rate: (hits < last.hits ? hits : hits - last.hits) / seconds });
    }
    this.#last = counts;
    this.#lastTime = now;
    this.#guard(rates, now);
  }

  /** Hits and misses since the beginning, reloads of modules included. */
  counts(): Record<string, ProbeCount> {
    const all: Record<string, ProbeCount> = {};
    for (const [event, { hits, missed }] of this.#last) {
      const before = this.#before.get(event) ?? { hits: 0, missed: 0 };
      all[event] = { hits: before.hits + hits, missed: before.missed + missed };
    }
    return all;
  }

  /** Hits of all probes that are about a class. */
  hits(): number {
    let sum = 0;
    for (const [event, { hits }] of Object.entries(this.counts())) {
      if ((this.#probes.get(event)?.classes.length ?? 0) > 0) sum += hits;
    }
    return sum;
  }

  #keep(event: string, last: ProbeCount): void {
    const before = this.#before.get(event) ?? { hits: 0, missed: 0 };
    this.#before.set(event, { hits: before.hits + last.hits, missed: before.missed + last.missed });
  }

  #guard(rates: { event: string; rate: number }[], now: bigint): void {
    const { limit, mark } = this.#options;
    let sum = rates.reduce((total, { rate }) => total + rate, 0);
    for (const { event, rate } of rates.sort((a, b) => b.rate - a.rate)) {
      if (sum <= limit) return;
      if (this.#isOff(event)) continue;
      const text = `${Math.round(rate)} hits per second, ${Math.round(sum)} of all probes: more than ${limit} in all`;
      this.#tracefs.enable(GROUP, event, false);
      this.unarmed.push({ event, why: "guard", text, atNs: String(now) });
      mark(`ktally: ${event} is switched off: ${text}`);
      sum -= rate;
    }
  }

  #isOff(event: string): boolean {
    return this.unarmed.some((other) => other.event === event);
  }

  #lookAtModules(): void {
    const now = this.#options.now();
    const before = this.#lastModuleLook;
    this.#lastModuleLook = now;
    for (const [name, planned] of Object.entries(this.#options.plan.modules)) {
      const loaded = this.#options.buildOf(name);
      const build = loaded === null ? "absent" : isSameBuild(loaded, planned) ? "planned" : "other";
      const lives = this.modules.filter((seen) => seen.name === name);
      if (lives.at(-1)?.build === build) continue;
      this.modules.push({ atNs: String(now), beforeNs: String(before), name, build });
      if (build === "other") {
        // They may sit on any instruction of the other build.
        this.#options.mark(`ktally: ${name} is another build than planned for: its probes are switched off`);
        this.#switch(name, false);
      } else if (build === "planned" && lives.some((seen) => seen.build === "other")) {
        this.#options.mark(`ktally: ${name} is the build again that was planned for: its probes are switched on`);
        this.#switch(name, true);
      }
    }
  }

  /** All probes of a module that the kernel took. */
  #switch(module: string, on: boolean): void {
    const taken = new Set(this.#tracefs.ownEvents());
    for (const { event, module: own } of this.#probes.values()) {
      if (own === module && taken.has(event) && !this.#isOff(event)) this.#tracefs.enable(GROUP, event, on);
    }
  }
}
