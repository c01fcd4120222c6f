import { describeExit, type Exit } from '../exit.ts';

/** One exit, and when and where it came. */
export interface TraceExit {
  /** Position among all exits of the machine, from 0. */
  readonly seq: number;
  /** Monotonic nanoseconds since the machine was made. */
  readonly ns: number;
  /** vcpu_id. */
  readonly vcpu: number;
  /** RIP when the exit was taken. */
  readonly rip: bigint;
  readonly exit: Exit;
}

/** One exit of a trace in words. */
export function describeEvent(event: TraceExit): string {
  return `#${event.seq} vCPU ${event.vcpu} rip 0x${event.rip.toString(16)}  ${describeExit(event.exit)}`;
}
