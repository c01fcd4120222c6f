/** `kvm-dsm/trace`: what a machine's trace is made of. */

export { describeEvent, isExit, type TraceAct, type TraceEvent, type TraceExit } from '../trace/event.ts';
