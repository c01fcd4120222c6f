import type { Exit } from '../../exit/exit.ts';
import { readFault } from '../../guest/fault.ts';
import { readWord } from '../../guest/protocol.ts';
import type { GuestMemory } from '../../kvm/guest-memory.ts';
import { traceAct } from '../../trace/act.ts';
import type { Act, Stamp, TraceEvent, TraceExit } from '../../trace/event.ts';
import type { Trace } from '../expect/trace.ts';
import type { Observer } from '../session.ts';
import type { MachineVcpu } from './vcpu.ts';

/** Makes events of what happens to a machine: its trace gets them, and the observer of its session. */
export class Recorder {
  readonly #trace: Trace;
  readonly #observer: Observer;
  readonly #born: number;

  constructor(trace: Trace, observer: Observer) {
    this.#trace = trace;
    this.#observer = observer;
    this.#born = Number(trace.born);
  }

  act(act: Act): void {
    this.#add(traceAct(this.#stamp(Number(process.hrtime.bigint())), act));
  }

  /** The last exit of a vCPU that is out of the guest. Its time is what the addon read right after KVM_RUN. */
  exit(one: MachineVcpu, memory: GuestMemory, exit: Exit): TraceExit {
    const { id, vcpu } = one;
    const { rip, rcx } = vcpu.exitRegs();
    const said = readWord(exit, () => Number(rcx & 0xffff_ffffn));
    const word = said?.kind === 'end' && !one.isPastEnd(rip) ? undefined : said;
    const fault = word?.kind === 'fault' ? readFault(vcpu, memory, word.vector) : undefined;
    const event: TraceExit = {
      ...this.#stamp(vcpu.exitNs),
      vcpu: id,
      rip,
      exit,
      ...(word && { word }),
      ...(fault && { fault }),
    };
    this.#add(event);
    return event;
  }

  #stamp(ns: number): Stamp {
    return { seq: this.#trace.events.length, ns: ns - this.#born };
  }

  #add(event: TraceEvent): void {
    this.#trace.record(event);
    this.#observer.event?.(event);
  }
}
