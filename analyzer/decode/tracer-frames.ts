/** The tracer's own frames, which some kernels record on top of a stack. Apart, as screens need it and no decoder. */
export const TRACER = /^(trace_event_raw_event_|trace_event_buffer|__traceiter_|kprobe_)/;
