/** What a diagnosis is of, and what it comes to. */
import type { TraceExit } from '../../trace/event.ts';
import type { Until } from '../machine/until.ts';

/** How what failed came to its end. */
export type Ending =
  /** It did not come to what it waited for. */
  | {
      kind: 'deadline';
      until: Until;
      /** `seq` of the first event of the run. */
      from: number;
    }
  /** A vCPU cannot go on, has a fault that nobody handles, or says that an assertion did not hold. */
  | { kind: 'exit'; event: TraceExit }
  /** The trace is not as expected. `seen`: how many events of these kinds came. */
  | { kind: 'expectation'; headline: string; kinds: readonly string[]; seen: number }
  /** KVM_RUN failed. */
  | { kind: 'ioctl' };

/** Who has not received what. */
export interface Lost {
  readonly vcpuId: number;
  readonly vector: number;
}

export interface Cause {
  readonly text: string;
  /** The vcpu_ids that it is about. */
  readonly vcpus: readonly number[];
  /** The higher, the more certain that this is why. */
  readonly weight: number;
  /** It is that an interrupt was sent to a vCPU and not received. */
  readonly lost?: Lost;
}
