/** What to record next, for each reason why a class was not seen completely. */

const ADVICE: Record<string, string> = {
  "by-holders": "also probe the counting functions, with the counter's value: ktally record does it",
  damaged: "take the recording anew, or bring the whole file: a part of it could not be read",
  "function-unknown":
    "record with trace-cmd: its trace.dat brings the kernel's symbols along; or give probes their function's name",
  inlined: "ktally record puts probes on the instructions inside functions; a function that is inlined is never called",
  "lost-events": "a larger buffer (trace-cmd -b 65536), or fewer probes: ktally record --class",
  "log-only": "record the events, too: the kernel's log alone tells only what went wrong",
  "no-effect-seen": "probe the functions of this class: ktally catalog show names them",
  "no-object": "let the probe record the argument that holds the object, such as kvm=%di",
  "no-values": "record the counter's value with every operation: ktally record finds its offset in BTF",
  "not-probed": "probe these functions, too",
  "probe-never-fired": "use the function once while recording, or leave the probe out: a silent probe proves nothing",
  "result-unknown": "probe the return of this function, too: r:… with $retval",
  "seen-in-stacks": "probe the functions of this class: only stacks of other events show it",
  "started-late": "start recording before the objects are made",
  "unseen-change": "something changed the counter that no probe saw: ktally record probes the inlined operations, too",
  "unseen-end": "probe the function that destroys it",
  "unseen-unregister": "probe the unregister function, too",
};

export function adviceFor(code: string): string | null {
  return ADVICE[code] ?? null;
}
