/** Two VMs that are alike: in one a guest makes a write, in the other it is replayed; everything of all vCPUs is compared. */
import { isDeepStrictEqual } from 'node:util';
import { IoctlError } from '../../base/errors.ts';
import type { Vcpu } from '../../kvm/vcpu/vcpu.ts';
import type { Machine, MachineOptions } from '../../script/machine/machine.ts';
import { CheckError } from '../errors.ts';
import type { CheckContext } from './context.ts';
import { Driver, isPort } from './drive.ts';
import { DONE_PORT } from './guests.ts';
import { SOURCE } from './replay.ts';
import { differences, lapicDifferences } from './twin-differences.ts';
import { askedFor, pointAt, type TwinWrite, writer } from './twin-writes.ts';

/** Writes, one after the other, and what they are called. */
export interface TwinRow {
  name: string;
  writes: readonly TwinWrite[];
  /** What both VMs are brought into before. Rows of one after the other share it. */
  state?: TwinState;
}

export interface TwinState {
  name: string;
  set(machine: Machine): void;
}

/** What user space can be told of a vCPU. */
interface VcpuState {
  mpState: number;
  lapic: Uint8Array;
  events: ReturnType<Vcpu['getVcpuEvents']>;
  sregs: ReturnType<Vcpu['getSregs']>;
  regs: ReturnType<Vcpu['getRegs']>;
}

/** The state that is asked for first has KVM take INIT and SIPI that are pending. */
function stateOf(vcpu: Vcpu): VcpuState {
  const mpState = vcpu.getMpState();
  return {
    mpState,
    lapic: vcpu.getLapic(),
    events: vcpu.getVcpuEvents(),
    sregs: vcpu.getSregs(),
    regs: vcpu.getRegs(),
  };
}

/** Back to a state. The mode of the LAPIC comes before its registers, which depend on it; a pending SMI forbids some mp_states. */
function restore(vcpu: Vcpu, now: VcpuState, state: VcpuState): void {
  if (isDeepStrictEqual(now, state)) return;
  vcpu.setSregs(state.sregs);
  vcpu.setLapic(state.lapic);
  vcpu.setVcpuEvents(state.events);
  vcpu.setMpState(state.mpState);
  vcpu.setRegs(state.regs);
}

const MAX_TOLD = 8;

/** Both VMs of a check: made once, and brought back to where they were before each row. */
export class Twins {
  readonly #ctx: CheckContext;
  readonly #live: Machine;
  readonly #replica: Machine;
  readonly #driver: Driver;
  /** As the machines came. */
  readonly #first: VcpuState[][];
  /** As each row finds them. */
  #before: VcpuState[][];
  #now: VcpuState[][];
  #state: TwinState | undefined;
  #rows = 0;
  readonly #wrong: string[] = [];

  private constructor(ctx: CheckContext, live: Machine, replica: Machine) {
    this.#ctx = ctx;
    this.#live = live;
    this.#replica = replica;
    for (const { vcpus } of [live, replica]) vcpus[SOURCE]!.program(writer, { interrupts: false });
    this.#driver = new Driver(ctx, live, SOURCE);
    this.#first = this.#look();
    this.#before = this.#first;
    this.#now = this.#first;
  }

  static async make(ctx: CheckContext, options: MachineOptions): Promise<Twins> {
    return new Twins(ctx, await ctx.machine(options), await ctx.machine(options));
  }

  /** Runs rows; throws CheckError, with the register and the bit of each difference, unless both are alike after each. */
  compare(rows: readonly TwinRow[]): void {
    for (const row of rows) this.#row(row);
    this.#ctx.effect('replayed rows', this.#rows);
    if (this.#wrong.length === 0) return;
    const more = this.#wrong.length > MAX_TOLD ? [`and ${this.#wrong.length - MAX_TOLD} more`] : [];
    throw new CheckError(
      [
        `after the replay, not as after the guest's write: ${this.#wrong[0]}`,
        ...this.#wrong.slice(1, MAX_TOLD),
        ...more,
      ].join('\n'),
    );
  }

  /** Replays what no guest can write: nothing may change. */
  unchanged(rows: readonly TwinRow[]): void {
    for (const { name, writes, state } of rows) {
      this.#reset(state);
      for (const write of writes) this.#replay(write);
      this.#now = [this.#now[0]!, this.#replica.vcpus.map(({ vcpu }) => stateOf(vcpu))];
      this.#tell(name, this.#now[1]!, this.#before[1]!);
    }
    this.compare([]);
  }

  #row({ name, writes, state }: TwinRow): void {
    this.#reset(state);
    for (const write of writes) {
      this.#write(write);
      const answer = this.#replay(write);
      // Nothing sets what GiantVM's main branch answers.
      if (answer !== '0' && this.#ctx.profile.injectionAnswers !== false)
        this.#wrong.push(`${name}: the ioctl answered ${answer}`);
    }
    this.#now = this.#look();
    const [live, replica] = this.#now as [VcpuState[], VcpuState[]];
    // The source's guest ran in one of them: of its registers only what the write is about may have changed.
    const wanted = live.map((one, at) => {
      if (at !== SOURCE) return one;
      const { sregs, regs } = this.#before[1]![SOURCE]!;
      // An INIT or a SIPI that it sent to itself sets them.
      if (one.mpState !== this.#before[0]![SOURCE]!.mpState) return one;
      return { ...one, regs, sregs: { ...sregs, apicBase: one.sregs.apicBase } };
    });
    this.#tell(state ? `${state.name}, ${name}` : name, replica, wanted);
  }

  #tell(name: string, got: readonly VcpuState[], wanted: readonly VcpuState[]): void {
    this.#rows += 1;
    const found = got.flatMap((one, at) => {
      const { lapic, ...rest } = one;
      const { lapic: otherLapic, ...otherRest } = wanted[at]!;
      const told = [...lapicDifferences(lapic, otherLapic), ...differences('', rest, otherRest)];
      return told.map((line) => `vCPU ${at}: ${line}`);
    });
    if (found.length > 0) this.#wrong.push(`${name}: ${found.slice(0, 3).join('; ')}`);
  }

  #look(): VcpuState[][] {
    return [this.#live, this.#replica].map(({ vcpus }) => vcpus.map(({ vcpu }) => stateOf(vcpu)));
  }

  #machines(use: (machine: Machine, at: number) => void): void {
    use(this.#live, 0);
    use(this.#replica, 1);
  }

  #reset(state: TwinState | undefined): void {
    const target = state === this.#state ? this.#before : this.#first;
    this.#machines(({ vcpus }, at) => {
      vcpus.forEach(({ vcpu }, n) => {
        restore(vcpu, this.#now[at]![n]!, target[at]![n]!);
      });
    });
    this.#now = target;
    if (state === this.#state) return;
    this.#state = state;
    this.#before = this.#first;
    if (!state) return;
    this.#machines((machine) => state.set(machine));
    this.#before = this.#look();
    this.#now = this.#before;
  }

  /** The guest's, to the exit that tells of it, or to the end of the program. */
  #write(write: TwinWrite): void {
    const { vcpu } = this.#driver;
    if (!pointAt(vcpu, this.#live.vcpus[SOURCE]!.entry, write)) return;
    for (;;) {
      const exit = this.#driver.next();
      if (isPort(exit, DONE_PORT) || Object.hasOwn(this.#ctx.profile.exits, exit.name)) return;
    }
  }

  /** What it answers. */
  #replay(write: TwinWrite): string {
    const { request, argument } = askedFor(this.#ctx.profile, SOURCE, write);
    // On Intel KVM_DSM_APIC_BASE writes to the VMCS that was loaded last: asking for the registers loads the vCPU's.
    this.#replica.vcpus[SOURCE]!.vcpu.getRegs();
    try {
      this.#replica.vm.ioctlRaw(request, argument);
      return '0';
    } catch (error) {
      if (!(error instanceof IoctlError)) throw error;
      return error.errnoName;
    }
  }
}
