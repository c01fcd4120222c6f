/** `kvm-dsm/trace`: what a machine's trace is made of. */

export { isExit, type TraceAct, type TraceEvent, type TraceExit } from '../trace/event.ts';
export { describeEvent } from '../trace/text.ts';
