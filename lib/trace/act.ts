/** Acts as events. */
import type { VmAct } from '../kvm/vm/acts.ts';
import type { Act, InjectionAct, TraceAct, TraceStamp } from './event.ts';
import { describeAct } from './text.ts';

/** An act in its place in a trace. Its words are made when somebody asks for them. */
export function traceAct(stamp: TraceStamp, act: Act): TraceAct {
  return {
    ...stamp,
    ...act,
    get detail() {
      return describeAct(act);
    },
  };
}

/** What a VM tells (`vm.onAct`), with the vCPU that it concerns. */
export function injection(act: VmAct): InjectionAct {
  return 'write' in act ? { act: 'injection', vcpu: act.write.vcpuId, ...act } : { act: 'injection', ...act };
}
