/** `kvm-dsm/trace`: what a machine's trace is made of. */

export {
  type InjectionAct,
  isExit,
  type KickAct,
  type TraceAct,
  type TraceEvent,
  type TraceExit,
  type TraceStamp,
} from '../trace/event.ts';
export { describeEvent } from '../trace/text.ts';
