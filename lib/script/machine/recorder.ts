/** Makes events of what happens to a machine: its trace gets them, and the observer of its session. */
import type { DsmProfile } from '../../abi/dsm/profiles.ts';
import type { Exit } from '../../exit/exit.ts';
import { readFault } from '../../guest/fault.ts';
import { readWord } from '../../guest/protocol.ts';
import type { GuestMemory } from '../../kvm/guest-memory.ts';
import type { ExitLog } from '../../kvm/vcpu/run/exit-log.ts';
import type { VmAct } from '../../kvm/vm/acts.ts';
import type { Act, InjectionAct, TraceExit } from '../../trace/event.ts';
import type { LoggedEvents } from '../../trace/store.ts';
import type { Trace } from '../expect/trace.ts';
import type { ObservedMachine, Observer } from '../session.ts';
import type { MachineVcpu } from './vcpu.ts';

/** Who is told, and whose exits 44..48 the machine has. */
interface Told {
  observer: Observer;
  profile: DsmProfile;
}

/** So many events are told at a time at most, as they are stored. */
const AT_A_TIME = 4096;

export class Recorder {
  readonly #machine: ObservedMachine;
  readonly #trace: Trace;
  readonly #events: LoggedEvents;
  readonly #log: ExitLog;
  readonly #observer: Observer;
  readonly #born: number;
  readonly #profile: DsmProfile;
  /** How many events the observer has been told of. */
  #told = 0;

  /** @param events where the trace's events lie */
  constructor(
    machine: ObservedMachine & { trace: Trace },
    events: LoggedEvents,
    log: ExitLog,
    { observer, profile }: Told,
  ) {
    const { trace } = machine;
    this.#machine = machine;
    this.#trace = trace;
    this.#events = events;
    this.#log = log;
    this.#observer = observer;
    this.#profile = profile;
    this.#born = Number(trace.born);
  }

  act(act: Act | (VmAct & Pick<InjectionAct, 'replayOf'>), node?: number): void {
    const ns = Number(process.hrtime.bigint()) - this.#born;
    this.#events.addAct(this.#log.reserve(), ns, act, node);
    this.tell();
  }

  /**
   * The last exit of a vCPU that is out of the guest. Its time is what the addon read right after KVM_RUN; its place is the one
   * that the addon has taken for it then, or the next.
   */
  exit(one: MachineVcpu, memory: GuestMemory, exit: Exit, node?: number): TraceExit {
    const { id, vcpu } = one;
    const { rip, rcx } = vcpu.exitRegs();
    const said = readWord(exit, () => Number(rcx & 0xffff_ffffn));
    const word = said?.kind === 'end' && !one.isPastEnd(rip) ? undefined : said;
    const fault = word?.kind === 'fault' ? readFault(vcpu, memory, word.vector) : undefined;
    const slot = this.#log.takeParked(id);
    const event: TraceExit = {
      seq: slot < 0 ? this.#log.reserve() : slot,
      ns: vcpu.exitNs - this.#born,
      ...(node !== undefined && { node }),
      vcpu: id,
      rip,
      exit,
      ...(word && { word }),
      ...(fault && { fault }),
    };
    this.#trace.record(event);
    this.tell();
    return event;
  }

  /** Tells the observer of all that has come meanwhile, in order. */
  tell(): void {
    const { event, stored, exitsOnly = false } = this.#observer;
    if (!event) return;
    const { size } = this.#trace;
    if (this.#told >= size) return;
    // It may do what makes an event.
    while (this.#told < size) {
      const some = stored ? this.#events.stored(this.#told, Math.min(size, this.#told + AT_A_TIME)) : null;
      if (some === null) {
        const at = this.#told++;
        if (!exitsOnly || this.#events.isExit(at)) event.call(this.#observer, this.#trace.event(at), this.#machine);
      } else {
        this.#told += some.count;
        stored!.call(this.#observer, { ...some, profile: this.#profile }, this.#machine);
      }
    }
    this.#observer.told?.();
  }
}
