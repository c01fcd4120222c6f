import { constants } from 'node:os';
import { lapicRegisterName, readLapicRegister, SVR_ENABLED } from '../../abi/apic/lapic.ts';
import { APIC_BASE_EXTD } from '../../abi/apic/msr.ts';
import { checkProfile, type DsmProfile } from '../../abi/dsm/profiles.ts';
import type { MsiMessage } from '../../abi/kvm/gsi-route.ts';
import { apicView } from '../../apic/destination.ts';
import { checkChoice, checkFunction, checkInteger, checkObject } from '../../base/check.ts';
import { type Duration, milliseconds } from '../../base/duration.ts';
import { ArgumentError, DeadlineError, IoctlError, type KvmDsmError } from '../../base/errors.ts';
import { show } from '../../base/text.ts';
import type { Exit } from '../../exit/decode.ts';
import { readFault } from '../../guest/fault.ts';
import { GuestLayout } from '../../guest/layout.ts';
import { readWord } from '../../guest/protocol.ts';
import { GuestTableWriter } from '../../guest/tables.ts';
import { apicvParameter } from '../../host/apicv-parameter.ts';
import { emulatesGuests } from '../../host/emulation.ts';
import { Synic, type SynicPages, synicCapability } from '../../hyperv/synic.ts';
import { type Cpuid, hypervCpuid } from '../../kvm/cpuid.ts';
import { GuestMemory } from '../../kvm/guest-memory.ts';
import { Kvm } from '../../kvm/kvm.ts';
import { DEFAULT_DEADLINE, type Vcpu } from '../../kvm/vcpu/vcpu.ts';
import type { ApicBaseReplay, IpiReplay, ReplayOptions, X2apicReplay } from '../../kvm/vm/injection.ts';
import { TSS_ADDRESS, type Vm } from '../../kvm/vm/vm.ts';
import { inhibitApicv } from '../../probe/inhibit-apicv.ts';
import type { NewAct, TraceEvent, TraceExit } from '../../trace/event.ts';
import { GuestAssertionError, GuestFailureError, GuestFaultError } from '../errors.ts';
import { expectExactlyOnce } from '../expect/deliveries.ts';
import { Trace } from '../expect/trace.ts';
import type { Ending } from '../failure/cause.ts';
import { FailureReport } from '../failure/report.ts';
import { type Snapshot, snapshotVcpu } from '../failure/snapshot.ts';
import { Session } from '../session.ts';
import { runAlone } from './alone.ts';
import { withApicId } from './cpuid.ts';
import { type Conductor, runTogether } from './together.ts';
import { type Goal, goalOf, type Until } from './until.ts';
import { MachineVcpu } from './vcpu.ts';

export interface MachineOptions {
  /** How many vCPUs, with vcpu_id and APIC id 0, 1, ...: 1 to 64. Default 1. */
  vcpus?: number;
  /**
   * Guest memory in bytes from guest physical address 0, a multiple of 4096. Default 2 MiB, more if the vCPUs need it;
   * what they and the machine's tables leave begins at `shared`.
   */
  memory?: number;
  /** Where the interrupt controllers are: all in the kernel, local APICs in the kernel, or none. Default full. */
  irqchip?: 'full' | 'split' | 'none';
  /**
   * How the local APICs are at first: as after reset (software-disabled, so that they take no IPI until the guest enables
   * them), or enabled, in xAPIC or in x2APIC mode. Default reset.
   */
  apic?: 'reset' | 'xapic' | 'x2apic';
  /** Leave APICv on if the host has it on. Default false: inhibited for this machine, since it hides ICR writes. */
  apicv?: boolean;
  /** What the guests' CPUID shows, made of what KVM supports; such as `hideX2apic`. Default: all that KVM supports. */
  cpuid?: (supported: Cpuid) => Cpuid;
  /**
   * Hyper-V's SynIC for every vCPU (`vcpu.synic`), and Hyper-V's interface in their CPUID. `zero`: KVM clears a page when
   * the guest enables it; `keep`: it does not. Default: none. It needs a kernel with CONFIG_KVM_HYPERV.
   */
  synic?: SynicPages;
  /** Instead of /dev/kvm. */
  device?: string;
  /** Whose exits 44..47 are meant. */
  profile?: DsmProfile;
}

export interface RunUntilOptions {
  /** When the run is over. Default: every vCPU with a program is idle in HLT. */
  until?: Until;
  /** From now. Default 10 s. */
  deadline?: Duration;
}

const MAX_VCPUS = 64;
/** So many of the last looks at where a vCPU is are kept. */
const LOOKS = 8;
const DEFAULT_MEMORY = 2 << 20;
/** The highest APIC id that xAPIC mode can address; 255 is broadcast. No machine's vCPU has it. */
const PARKED_VCPU_ID = 254;

/** A VM with memory, vCPUs and a trace of every exit. */
export class Machine implements AsyncDisposable, Disposable {
  readonly kvm: Kvm;
  readonly vm: Vm;
  readonly memory: GuestMemory;
  readonly trace = new Trace(() => this.#snapshot());
  readonly profile: DsmProfile;
  /** What the script asked for: true leaves APICv as the host has it. */
  readonly apicv: boolean;
  readonly irqchip: 'full' | 'split' | 'none';
  /** First guest physical address that belongs to the script alone, page-aligned: memory that all vCPUs can share. */
  readonly shared: number;
  readonly #session = Session.current;
  readonly #vcpus: MachineVcpu[] = [];
  readonly #born = process.hrtime.bigint();
  /** RIP of each vCPU at the last looks of a run. */
  readonly #looks = new Map<number, bigint[]>();
  #wroteIcr = false;

  /** Use `machine()`. */
  constructor(options: MachineOptions) {
    const count = checkInteger('vcpus', checkObject('options', options).vcpus ?? 1, 1, MAX_VCPUS);
    this.irqchip = checkChoice('irqchip', options.irqchip ?? 'full', ['full', 'split', 'none'] as const);
    const apic = checkChoice('apic', options.apic ?? 'reset', ['reset', 'xapic', 'x2apic'] as const);
    if (apic !== 'reset' && this.irqchip === 'none')
      throw new ArgumentError('apic', `${apic} without an in-kernel local APIC`, 'Leave `irqchip: "none"` out.');
    const { synic } = options;
    if (synic !== undefined) checkChoice('synic', synic, ['zero', 'keep'] as const);
    if (synic !== undefined && this.irqchip === 'none')
      throw new ArgumentError('synic', 'a SynIC without an in-kernel local APIC', 'Leave `irqchip: "none"` out.');
    if (options.cpuid !== undefined) checkFunction('cpuid', options.cpuid);
    this.profile = checkProfile(options.profile ?? this.#session.profile);
    this.apicv = options.apicv ?? false;
    if (options.memory !== undefined) checkInteger('memory', options.memory, 0, Number.MAX_SAFE_INTEGER);
    const layout = new GuestLayout(count);
    this.shared = layout.end;
    const size = options.memory ?? Math.max(DEFAULT_MEMORY, layout.end);
    if (size < layout.end)
      throw new ArgumentError('memory', `${size} bytes for ${count} vCPUs`, `Give at least ${layout.end} bytes.`);
    this.memory = GuestMemory.allocate(size);
    try {
      this.kvm = Kvm.open(options.device ?? this.#session.device, { profile: this.profile });
    } catch (error) {
      this.memory.close();
      throw error;
    }
    this.vm = this.kvm.createVm();
    try {
      this.#build(count, layout, apic, options);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #build(
    count: number,
    layout: GuestLayout,
    apic: 'reset' | 'xapic' | 'x2apic',
    { cpuid = (supported) => supported, synic }: MachineOptions,
  ): void {
    const { kvm, vm, memory, irqchip } = this;
    // Before anything is made.
    if (synic !== undefined) synicCapability(vm, synic);
    const supported =
      synic === undefined ? kvm.supportedCpuid() : hypervCpuid(kvm.supportedCpuid(), kvm.supportedHvCpuid());
    if (vm.checkExtension('KVM_CAP_SET_TSS_ADDR')) vm.setTssAddr(TSS_ADDRESS);
    if (irqchip === 'full') vm.createIrqchip();
    else if (irqchip === 'split') vm.enableSplitIrqchip();
    vm.setMemory({ slot: 0, guestPhysAddr: 0, memory });
    const shown = cpuid(supported);
    const around = {
      memory,
      layout,
      tables: new GuestTableWriter(memory, layout, emulatesGuests()),
      hasLapic: irqchip !== 'none',
      act: (act: NewAct) => this.#act(act),
    };
    for (let id = 0; id < count; id++) {
      const vcpu = vm.createVcpu(id);
      vcpu.setCpuid2(withApicId(shown, id));
      if (apic !== 'reset') enableApic(vcpu, apic);
      this.#vcpus.push(new MachineVcpu(vcpu, around, synic ? Synic.enable(vm, vcpu, synic) : null));
    }
    const hidden = irqchip !== 'none' && !this.apicv && apicvParameter()?.enabled;
    if (hidden) inhibitApicv(vm, PARKED_VCPU_ID);
    this.#session.observer.machine?.(this);
  }

  /** The vCPU with this vcpu_id. Throws ArgumentError if the machine has none. */
  vcpu(id: number): MachineVcpu {
    const found = Number.isInteger(id) ? this.#vcpus[id] : undefined;
    if (!found)
      throw new ArgumentError(
        'id',
        `The machine has no vCPU ${show(id)}`,
        `Its vCPUs are 0 to ${this.#vcpus.length - 1}.`,
      );
    return found;
  }

  get vcpus(): readonly MachineVcpu[] {
    return this.#vcpus;
  }

  /** KVM_SIGNAL_MSI, in the trace: an interrupt as a device's message. Returns false if the guest blocked it. */
  signalMsi(message: MsiMessage): boolean {
    const delivered = this.vm.signalMsi(message);
    const { addressLo, data } = message;
    const detail = `address 0x${addressLo.toString(16)}, data 0x${data.toString(16)}`;
    this.#act({ act: 'injection', ioctl: 'KVM_SIGNAL_MSI', detail: delivered ? detail : `${detail}, blocked` });
    return delivered;
  }

  /** KVM_IRQ_LINE, in the trace: a line of the in-kernel interrupt controllers. */
  irqLine(gsi: number, level: boolean): void {
    this.vm.irqLine(gsi, level);
    this.#act({ act: 'injection', ioctl: 'KVM_IRQ_LINE', detail: `gsi ${gsi} ${level ? 'high' : 'low'}` });
  }

  /** KVM_DSM_IPI, in the trace: `vm.dsmIpi`, which says what it throws. The vCPU must not be running. */
  dsmIpi(write: IpiReplay, options: ReplayOptions = {}): void {
    this.vm.dsmIpi(write, { profile: this.profile, ...options });
    const { vcpuId, val, val2 } = write;
    const register = lapicRegisterName(val) ?? hex(val);
    this.#act({ act: 'injection', ioctl: 'KVM_DSM_IPI', vcpu: vcpuId, detail: `${register} = ${hex(val2)}` });
  }

  /** KVM_DSM_X2APIC, in the trace: `vm.dsmX2apic`, which says what it throws. The vCPU must not be running. */
  dsmX2apic(write: X2apicReplay, options: ReplayOptions = {}): void {
    this.vm.dsmX2apic(write, { profile: this.profile, ...options });
    const detail = `x2APIC ICR = ${hex(write.data)}`;
    this.#act({ act: 'injection', ioctl: 'KVM_DSM_X2APIC', vcpu: write.vcpuId, detail });
  }

  /** KVM_DSM_APIC_BASE, in the trace: `vm.dsmApicBase`, which says what it throws. The vCPU must not be running. */
  dsmApicBase(write: ApicBaseReplay, options: ReplayOptions = {}): void {
    this.vm.dsmApicBase(write, { profile: this.profile, ...options });
    const detail = `IA32_APIC_BASE = ${hex(write.data)}${write.host ? ' (host)' : ''}`;
    this.#act({ act: 'injection', ioctl: 'KVM_DSM_APIC_BASE', vcpu: write.vcpuId, detail });
  }

  /**
   * Runs the vCPUs that have a program until what `until` says: several side by side, each on its own thread; one by
   * turns on this thread, which costs least. Other work of the process goes on meanwhile. An exit of another vCPU that
   * meets the end of the run is in the trace behind the one that ended it.
   *
   * Each error names the cause first, as far as the machine's state tells it, and has the state in its `report`.
   *
   * @throws DeadlineError if it does not come in time; GuestFailureError if a guest cannot go
   *   on, GuestFaultError if it had an exception that it does not handle (and `until` did not wait for that);
   *   GuestAssertionError if an assertion of the guest did not hold; IoctlError (KVM_RUN)
   */
  async run(options: RunUntilOptions = {}): Promise<Trace> {
    try {
      return await this.#run(options);
    } catch (error) {
      if (!(error instanceof IoctlError && error.errno === EIO)) throw error;
      throw new GuestFailureError(gaveUp, this.#report({ kind: 'ioctl' }));
    }
  }

  async #run(options: RunUntilOptions): Promise<Trace> {
    const until = checkObject('options', options).until ?? 'halted';
    const running = this.#vcpus.filter(({ programmed }) => programmed);
    const goal = goalOf(
      until,
      running.map(({ id }) => id),
    );
    const limit = milliseconds(options.deadline ?? DEFAULT_DEADLINE);
    if (running.length === 0)
      throw new ArgumentError('run', 'No vCPU has a program', 'Call machine.vcpu(0).program(...) first.');
    const vcpus = running.map(({ vcpu }) => vcpu);
    const inTime = await this.#conduct(vcpus, {
      profile: this.profile,
      budget: this.#session.budget,
      idle: vcpus.filter(({ vcpuId }) => goal.idle.includes(vcpuId)),
      limit: Math.min(limit, this.#session.budget.left),
      exit: (vcpu, exit) => {
        const event = this.#record(vcpu, exit);
        const isOver = goal.reached(event);
        if (!isOver && isFailure(event)) throw new Broken(event);
        return isOver;
      },
      lateExit: (vcpu, exit) => {
        const event = this.#record(vcpu, exit);
        if (event.word?.kind === 'assert') throw new Broken(event);
      },
      look: (vcpu) => this.#look(vcpu),
    });
    if (!inTime) throw this.#late(goal, until, limit);
    return this.trace;
  }

  /**
   * Checks that every fixed IPI among the forwarded ICR writes was handled exactly once by each vCPU that it names: the
   * trace against the counters of the machine's handlers.
   *
   * @param vectors only these. Give them if IPIs also come by ways that the kernel does not forward.
   * @throws ExpectationError with sent and handled side by side; also if there was no such IPI
   */
  expectExactlyOnce(vectors?: readonly number[]): void {
    const targets = this.#vcpus.map(({ id, vcpu, interrupts }) => ({
      interrupts,
      apic: apicView(id, vcpu.lapic(), vcpu.getSregs().apicBase),
    }));
    expectExactlyOnce(this.trace, targets, vectors);
  }

  async #conduct(vcpus: readonly Vcpu[], conductor: Conductor): Promise<boolean> {
    this.#looks.clear();
    try {
      return await (vcpus.length === 1 ? runAlone(vcpus[0]!, conductor) : runTogether(vcpus, conductor));
    } catch (error) {
      // Every vCPU is out of the guest by now: what each of them is like can be told.
      if (error instanceof Broken) throw this.#broken(error.event);
      if (!(error instanceof IoctlError) || error.ioctl !== 'KVM_RUN') throw error;
      throw new IoctlError('KVM_RUN', error.errno, { failure: this.#report({ kind: 'ioctl' }) });
    }
  }

  #look(vcpu: Vcpu): void {
    const looks = this.#looks.get(vcpu.vcpuId) ?? [];
    this.#looks.set(vcpu.vcpuId, [...looks, vcpu.getRegs().rip].slice(-LOOKS));
  }

  /** What everything is like now. */
  #snapshot(fault?: TraceExit): Snapshot {
    const { events } = this.trace;
    if (this.vm.closed)
      return { vcpus: [], events: [...events], note: 'vCPUs: the machine is closed, their state is gone' };
    return {
      vcpus: this.#vcpus.map((one) => {
        const own = fault?.vcpu === one.id ? fault.fault : undefined;
        return snapshotVcpu(one, this.memory, this.#looks.get(one.id), own);
      }),
      events: [...events],
      during: { from: this.#born, to: process.hrtime.bigint() },
    };
  }

  #report(ending: Ending): FailureReport {
    return new FailureReport(this.#snapshot(ending.kind === 'exit' ? ending.event : undefined), ending);
  }

  get #now(): number {
    return Number(process.hrtime.bigint() - this.#born);
  }

  #act(act: NewAct): void {
    this.#tell({ seq: this.trace.events.length, ns: this.#now, ...act });
  }

  #record(vcpu: Vcpu, exit: Exit): TraceExit {
    const { rip, rcx } = vcpu.getRegs();
    this.vcpu(vcpu.vcpuId).hypervisorSees(exit);
    const word = readWord(exit, () => Number(rcx & 0xffff_ffffn));
    const fault = word?.kind === 'fault' ? readFault(vcpu, this.memory, word.vector) : undefined;
    const event: TraceExit = {
      seq: this.trace.events.length,
      ns: this.#now,
      vcpu: vcpu.vcpuId,
      rip,
      exit,
      ...(word && { word }),
      ...(fault && { fault }),
    };
    this.#tell(event);
    return event;
  }

  #tell(event: TraceEvent): void {
    this.trace.record(event);
    this.#session.observer.event?.(event);
  }

  #broken(event: TraceExit): KvmDsmError {
    const { vcpu: vcpuId, word, fault } = event;
    const failure = this.#report({ kind: 'exit', event });
    const message = failure.causes[0]!;
    if (word?.kind === 'assert') return new GuestAssertionError(message, { vcpuId, actual: word.actual }, failure);
    if (word?.kind === 'fault') return new GuestFaultError(message, { vcpuId, vector: word.vector, fault }, failure);
    return new GuestFailureError(message, failure);
  }

  #late(goal: Goal, until: Until, limit: number): DeadlineError {
    const spent = this.#session.budget.left === 0 ? 'the time that --timeout allows' : `${limit} ms`;
    const failure = this.#report({ kind: 'deadline', until });
    const what = `The guest did not come to ${goal.description} within ${spent}; ${this.trace.length} exits until then`;
    return new DeadlineError([...failure.causes.slice(0, 1), what].join('\n'), failure, goal.waitsForExits);
  }

  /** True if a LAPIC holds an ICR or ICR2 that a guest has written. Still known after `close()`. */
  get wroteIcr(): boolean {
    if (!this.vm.closed) this.#wroteIcr = this.#vcpus.some(({ vcpu }) => holdsIcr(vcpu));
    return this.#wroteIcr;
  }

  /** Ends the vCPUs, the VM, and this process' hold on the memory. */
  close(): void {
    void this.wroteIcr;
    try {
      this.vm.close();
    } finally {
      this.kvm.close();
      this.memory.close();
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}

function enableApic(vcpu: Vcpu, apic: 'xapic' | 'x2apic'): void {
  if (apic === 'x2apic') {
    const sregs = vcpu.getSregs();
    vcpu.setSregs({ ...sregs, apicBase: sregs.apicBase | APIC_BASE_EXTD });
  }
  vcpu.setLapicRegisters({ SVR: SVR_ENABLED });
}

/** Both registers are 0 at reset. */
function holdsIcr(vcpu: Vcpu): boolean {
  try {
    const page = vcpu.getLapic();
    return readLapicRegister(page, 'ICR') !== 0 || readLapicRegister(page, 'ICR2') !== 0;
  } catch {
    return false; // no in-kernel LAPIC
  }
}

/** Ends a run: its event is no way to go on from. */
class Broken {
  readonly event: TraceExit;

  constructor(event: TraceExit) {
    this.event = event;
  }
}

const failures: readonly Exit['name'][] = ['KVM_EXIT_SHUTDOWN', 'KVM_EXIT_FAIL_ENTRY', 'KVM_EXIT_INTERNAL_ERROR'];

function isFailure({ exit, word }: TraceExit): boolean {
  return word?.kind === 'assert' || word?.kind === 'fault' || failures.includes(exit.name);
}

/** KVM answers every ioctl of a VM that it has marked as dead so. Source: kvm_vm_dead in the kernel. */
const { EIO } = constants.errno;
const gaveUp =
  'KVM has given this VM up (EIO): a vCPU took an SMI and has no memory in the address space of SMM, or KVM found a bug ' +
  "in itself, which the kernel's log tells";

/**
 * Makes a machine: memory from guest physical address 0, vCPUs 0, 1, ..., an irqchip.
 *
 * @throws what `Kvm.open` throws if there is no usable KVM here; ArgumentError
 */
export async function machine(options: MachineOptions = {}): Promise<Machine> {
  return new Machine(options);
}

function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}
