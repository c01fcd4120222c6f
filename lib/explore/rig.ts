/** The machine that histories are tried on: made once, and brought back to its beginning before each. */

import { lapicRegisters } from '../abi/apic/lapic.ts';
import { IA32_APIC_BASE } from '../abi/apic/msr.ts';
import { exitReasons } from '../abi/kvm/exit-reason.ts';
import { kvmLapicState, kvmRegs, kvmVcpuEvents } from '../abi/kvm/index.ts';
import { ioctls } from '../abi/kvm/ioctl.ts';
import { RUN_UNION_OFFSET } from '../abi/kvm/kvm-run.ts';
import {
  type ExitSeen,
  type GuestOperation,
  type HostOperation,
  isGuests,
  type Operation,
  type StepSeen,
} from '../apic/model/operations.ts';
import { apicBaseIn, HALTED, type ModelOptions, numberOf, WAIT_FOR_SIPI } from '../apic/model/state.ts';
import { IoctlError } from '../base/errors.ts';
import type { Exit } from '../exit/exit.ts';
import { describeExit } from '../exit/text.ts';
import { clearedRegs } from '../guest/entry.ts';
import { laneHere } from '../host/lane.ts';
import { withApicId } from '../kvm/apic-id.ts';
import { showTscDeadline } from '../kvm/cpuid.ts';
import { GuestMemory } from '../kvm/guest-memory.ts';
import type { Kvm } from '../kvm/kvm.ts';
import type { Vcpu } from '../kvm/vcpu/vcpu.ts';
import { TSS_ADDRESS, type Vm } from '../kvm/vm/vm.ts';
import { inhibitApicv } from '../probe/inhibit-apicv.ts';
import {
  ASK_PORT,
  addressOf,
  box,
  boxOf,
  generalRegisters,
  loadGuest,
  MOST_HANDLED,
  memorySize,
  type Routine,
  systemRegisters,
} from './guest.ts';

import type { Frailty } from './steps.ts';

/** What a guest's part takes at most, in ms, unless it is said; what takes longer does not end. */
export const LIMIT = 3000;
/** How long one that is to fall asleep is given at a time. */
const NAP = 2;
/** What the model says the exits of. */
const ASKED_FOR = ['ICR', 'BASE'];
const EXIT_REASON = 8;
/** kvm_vcpu_events: nmi.pending. */
const NMI_PENDING = 13;
/** True if an interrupt is in service. */
function hasService(words: Uint32Array): boolean {
  const first = numberOf('ISR0');
  for (let word = first; word < first + 8; word++) if (words[word * 4] !== 0) return true;
  return false;
}

const naming = (['ID', 'LDR', 'DFR', 'SVR'] as const).map((register) => lapicRegisters[register]);

/** True if what decides by which ids an APIC is named is not as at the beginning. */
function hasOtherIds(words: Uint32Array, first: Uint8Array): boolean {
  const before = new DataView(first.buffer, first.byteOffset);
  return naming.some((offset) => words[offset >> 2] !== before.getUint32(offset, true));
}

/** What was seen of a vCPU. */
export interface VcpuSeen {
  /** The bytes of KVM_GET_LAPIC, and the same by words: a register is each fourth. */
  readonly page: Uint8Array;
  readonly words: Uint32Array;
  mpState: number;
  nmis: number;
}

/** What an operation showed, and what it should not have shown. */
export interface Shown extends StepSeen {
  /** What kvm_run says of the vCPU whose guest has come to the end of its part. */
  left: { on: number; IA32_APIC_BASE: number; CR8: number; 'RFLAGS.IF': number } | null;
  /** An exit, or an error, that no operation makes. */
  unexpected: string | null;
}

export class Rig implements Disposable {
  readonly vcpus: readonly Vcpu[];
  readonly vendor: ModelOptions['vendor'];
  readonly frailty: Frailty = { cr8WhileWaiting: laneHere?.name === 'svm' };
  /** What a guest's part takes at most, in ms. */
  readonly #limit: number;
  /** How long the slowest part that ended took, in ms. */
  slowest = 0;
  readonly #vm: Vm;
  readonly #memory: GuestMemory;
  readonly #view: DataView;
  /** The VM has asked for the exits, where they have to be asked for. */
  readonly optsIn: boolean;
  readonly #page = new Uint8Array(kvmLapicState.size);
  readonly #events = new Uint8Array(kvmVcpuEvents.size);
  readonly #mpState = new Uint32Array(1);
  readonly seen: readonly VcpuSeen[];
  readonly #firstRegs: readonly Uint8Array[];
  /** Those whose guest may have enabled its interrupts. */
  readonly #enabled = new Set<number>();
  readonly #firstPages: readonly Uint8Array[];
  readonly #firstEvents: readonly Uint8Array[];
  /** Those whose system registers are not as at the beginning any more. */
  readonly #astray = new Set<number>();

  constructor(kvm: Kvm, vcpus: number, limit = LIMIT) {
    this.#limit = limit;
    const cpuid = showTscDeadline(kvm.supportedCpuid());
    const vendor = cpuid.find((entry) => entry.function === 0);
    // "Genu" of GenuineIntel.
    this.vendor = vendor?.ebx === 0x756e_6547 ? 'intel' : 'amd';
    const { optIn } = kvm.profile;
    this.optsIn = optIn !== undefined && kvm.checkExtension(optIn.capability) !== 0;
    this.#vm = kvm.createVm(0, this.optsIn ? { optIn: ASKED_FOR } : {});
    this.#memory = GuestMemory.allocate(memorySize(vcpus));
    this.#view = this.#memory.view;
    if (this.#vm.checkExtension('KVM_CAP_SET_TSS_ADDR')) this.#vm.setTssAddr(TSS_ADDRESS);
    this.#vm.createIrqchip();
    this.#vm.setMemory({ slot: 0, guestPhysAddr: 0, memory: this.#memory });
    loadGuest(this.#memory);
    this.vcpus = Array.from({ length: vcpus }, (_, id) => {
      const vcpu = this.#vm.createVcpu(id);
      vcpu.setCpuid2(withApicId(cpuid, id));
      vcpu.setMpState(0);
      vcpu.setLapicRegisters({ SVR: 0x1ff });
      this.adopt(id);
      return vcpu;
    });
    inhibitApicv(this.#vm, vcpus);
    // As it is from the beginning: the first history's reset is like any later one.
    this.seen = this.vcpus.map((vcpu) => {
      const page = vcpu.getLapic();
      return { page, words: new Uint32Array(page.buffer), mpState: 0, nmis: 0 };
    });
    this.#firstRegs = this.vcpus.map((_, id) => kvmRegs.encode({ ...clearedRegs, ...generalRegisters(id) }));
    this.#firstPages = this.vcpus.map((vcpu) => vcpu.getLapic());
    this.#firstEvents = this.vcpus.map((vcpu) => {
      const events = new Uint8Array(kvmVcpuEvents.size);
      vcpu.ioctlRaw(ioctls.KVM_GET_VCPU_EVENTS, events);
      return events;
    });
  }

  /** Puts a vCPU into the resident program. */
  adopt(vcpu: number): void {
    const one = this.vcpus?.[vcpu] ?? this.#vm.vcpus.get(vcpu)!;
    one.setSregs({ ...one.getSregs(), ...systemRegisters() });
    one.setRegs({ ...clearedRegs, ...generalRegisters(vcpu) });
  }

  /** Everything as at the beginning. What nothing can have changed is left as it is: it costs an emulated CPU a lot. */
  reset(): void {
    this.vcpus.forEach((vcpu, id) => {
      const { words, mpState, nmis } = this.seen[id]!;
      const first = this.#firstPages[id]!;
      const isAstray = this.#astray.delete(id);
      if (isAstray) {
        vcpu.setMsr(IA32_APIC_BASE, BigInt(apicBaseIn('disabled', id)));
        vcpu.setMsr(IA32_APIC_BASE, BigInt(apicBaseIn('xapic', id)));
        vcpu.setSregs({ ...vcpu.getSregs(), ...systemRegisters() });
      }
      vcpu.ioctlRaw(ioctls.KVM_SET_LAPIC, first);
      // The ids are made anew by another way as well, and then by this one again: a history shall see nothing of the one before, also
      // where one of the two is wrong.
      if (isAstray || hasOtherIds(words, first)) {
        vcpu.setMsr(IA32_APIC_BASE, BigInt(apicBaseIn('disabled', id)));
        vcpu.setMsr(IA32_APIC_BASE, BigInt(apicBaseIn('xapic', id)));
        vcpu.ioctlRaw(ioctls.KVM_SET_LAPIC, first);
      }
      // Once more: the first finds what KVM remembers of the ISR of before.
      if (words[numberOf('PPR') * 4] !== 0 || hasService(words)) vcpu.ioctlRaw(ioctls.KVM_SET_LAPIC, first);
      if (isAstray || nmis !== 0) vcpu.ioctlRaw(ioctls.KVM_SET_VCPU_EVENTS, this.#firstEvents[id]!);
      if (isAstray || mpState !== 0) vcpu.setMpState(0);
      if (isAstray || mpState !== 0 || this.#enabled.delete(id))
        vcpu.ioctlRaw(ioctls.KVM_SET_REGS, this.#firstRegs[id]!);
      this.#view.setUint32(boxOf(id) + box.eoi, 1, true);
      Object.assign(this.seen[id]!, { mpState: 0, nmis: 0 });
    });
  }

  /** Looks at every vCPU: `seen` is what it saw. */
  look(): void {
    for (let id = 0; id < this.vcpus.length; id++) {
      const vcpu = this.vcpus[id]!;
      const seen = this.seen[id]!;
      // It comes first: it has KVM take INIT and SIPI that are pending.
      vcpu.ioctlRaw(ioctls.KVM_GET_MP_STATE, this.#mpState);
      seen.mpState = this.#mpState[0]!;
      vcpu.ioctlRaw(ioctls.KVM_GET_LAPIC, seen.page);
      vcpu.ioctlRaw(ioctls.KVM_GET_VCPU_EVENTS, this.#events);
      seen.nmis = this.#events[NMI_PENDING]!;
    }
  }

  do(operation: Operation, expected: StepSeen): Shown {
    const shown: Shown = {
      exits: [],
      handled: [],
      result: null,
      ended: null,
      delivered: null,
      left: null,
      unexpected: null,
    };
    if (isGuests(operation)) this.#guest(operation, expected, shown);
    else this.#host(operation, shown);
    return shown;
  }

  #guest(operation: GuestOperation, expected: StepSeen, shown: Shown): void {
    const { on } = operation;
    const at = boxOf(on);
    const view = this.#view;
    const { routine, where, low, high } = asked(operation);
    view.setUint32(at + box.routine, addressOf(routine), true);
    view.setUint32(at + box.where, where, true);
    view.setUint32(at + box.low, low, true);
    view.setUint32(at + box.high, high, true);
    view.setUint32(at + box.handled, 0, true);
    if (operation.do === 'wrmsr' && operation.msr === IA32_APIC_BASE) this.#astray.add(on);
    if (operation.do === 'sti') this.#enabled.add(on);
    // One that sleeps has not asked yet: it does when it wakes.
    const began = performance.now();
    this.#run(on, expected, shown, this.seen[on]!.mpState === HALTED ? 2 : 1);
    if (shown.unexpected === null) this.slowest = Math.max(this.slowest, performance.now() - began);
    const handled = Math.min(view.getUint32(at + box.handled, true), MOST_HANDLED);
    for (let n = 0; n < handled; n++) shown.handled.push(view.getUint32(at + box.vectors + n * 4, true));
    if (operation.do !== 'read' && operation.do !== 'rdmsr' && operation.do !== 'readCr8') return;
    if (expected.result === null) return;
    const isWide = operation.do === 'rdmsr';
    shown.result = {
      low: view.getUint32(at + box.readLow, true),
      high: isWide ? view.getUint32(at + box.readHigh, true) : 0,
    };
  }

  /** @param asks so many times it asks until it is done */
  #run(on: number, expected: StepSeen, shown: Shown, asks: number): void {
    const vcpu = this.vcpus[on]!;
    const limit = this.#limit;
    let left = asks;
    const silent = expected.ended === 'asleep' || (expected.ended === 'init' && expected.exits.length === 0);
    for (let spent = 0; spent < limit; ) {
      const outcome = vcpu.runRaw(silent ? NAP : limit);
      const { kind } = outcome;
      spent += silent ? NAP : 0;
      if (kind === 'exit') {
        const reason = vcpu.kvmRun.getUint32(EXIT_REASON, true);
        if (reason === exitReasons.KVM_EXIT_IO && vcpu.kvmRun.getUint16(RUN_UNION_OFFSET + 2, true) === ASK_PORT) {
          left -= 1;
          if (left > 0) continue;
          shown.ended = 'done';
          shown.left = leftBy(on, vcpu);
          return;
        }
        const exit = vcpu.exit();
        const seen = forwardedBy(exit);
        if (seen === null) {
          shown.unexpected = describeExit(exit);
          return;
        }
        shown.exits.push(seen);
        // An INIT to itself: KVM takes it when it is asked for the state, and the guest is gone.
        if (expected.ended === 'init' && shown.exits.length === expected.exits.length) {
          shown.ended = 'init';
          return;
        }
        if (shown.exits.length > 8) return;
      } else if (!silent) {
        shown.unexpected =
          kind === 'deadline' ? `it did not end within ${limit} ms` : `KVM_RUN: ${JSON.stringify(outcome)}`;
        return;
      } else {
        const state = vcpu.getMpState();
        if (state !== (expected.ended === 'asleep' ? HALTED : WAIT_FOR_SIPI)) continue;
        shown.ended = expected.ended;
        return;
      }
    }
    shown.unexpected = `it did not end within ${limit} ms`;
  }

  #host(operation: HostOperation, shown: Shown): void {
    switch (operation.do) {
      case 'msi':
        shown.delivered = this.#signal(operation);
        return;
      case 'nmi':
        this.vcpus[operation.on]!.nmi();
        return;
      case 'setLapic':
      case 'restore': {
        const vcpu = this.vcpus[operation.on]!;
        vcpu.ioctlRaw(ioctls.KVM_GET_LAPIC, this.#page);
        if (operation.do === 'setLapic')
          new DataView(this.#page.buffer).setUint32(lapicRegisters[operation.register], operation.value, true);
        vcpu.ioctlRaw(ioctls.KVM_SET_LAPIC, this.#page);
        return;
      }
      case 'setBase':
        this.#astray.add(operation.on);
        this.vcpus[operation.on]!.setMsr(IA32_APIC_BASE, BigInt(apicBaseIn(operation.mode, operation.on)));
        return;
      case 'handlers':
        this.#view.setUint32(boxOf(operation.on) + box.eoi, operation.eoi ? 1 : 0, true);
    }
  }

  #signal({ addressLo, data }: { addressLo: number; data: number }): boolean {
    try {
      return this.#vm.signalMsi({ addressLo, data });
    } catch (error) {
      // Where it names nobody.
      if (error instanceof IoctlError && error.errnoName === 'EPERM') return false;
      throw error;
    }
  }

  /** One that a SIPI has started, or an INIT has reset: its code segment's base, and then into the program with it. */
  start(vcpu: number): { base: number; rip: number } {
    const one = this.vcpus[vcpu]!;
    const { cs } = one.getSregs();
    const { rip } = one.getRegs();
    this.adopt(vcpu);
    return { base: Number(cs.base), rip: Number(rip) };
  }

  /** An INIT has reset its system registers. */
  strayed(vcpu: number): void {
    this.#astray.add(vcpu);
  }

  [Symbol.dispose](): void {
    this.#vm.close();
    this.#memory.close();
  }
}

/** The write that an exit tells of; `null`: no operation makes such an exit. */
function forwardedBy(exit: Exit): ExitSeen | null {
  switch (exit.name) {
    case 'KVM_EXIT_DSM_SEND_IRQ':
      return { id: exit.id, val: exit.val, val2: exit.val2, destId: exit.destId ?? 0 };
    case 'KVM_EXIT_DSM_X2_ICR':
      return { id: exit.id, low: Number(exit.data & 0xffff_ffffn), high: Number(exit.data >> 32n) };
    case 'KVM_EXIT_DSM_APIC_BASE':
      return exit.host ? null : { id: exit.id, base: Number(exit.data) };
    default:
      return null;
  }
}

/** Bits 31:0 of what kvm_run has: there is nothing above them. */
const leftBy = (on: number, { kvmRun: run }: Vcpu): Shown['left'] => ({
  on,
  IA32_APIC_BASE: run.getUint32(24, true),
  CR8: run.getUint32(16, true),
  'RFLAGS.IF': run.getUint8(13),
});

interface Asked {
  routine: Routine;
  where: number;
  low: number;
  high: number;
}

const PAGE = 0xfee0_0000;

function asked(operation: GuestOperation): Asked {
  switch (operation.do) {
    case 'write':
      return {
        routine: 'write',
        where: PAGE + lapicRegisters[operation.register],
        low: operation.value >>> 0,
        high: 0,
      };
    case 'read':
      return { routine: 'read', where: PAGE + lapicRegisters[operation.register], low: 0, high: 0 };
    case 'wrmsr':
      return { routine: 'wrmsr', where: operation.msr, low: operation.low, high: operation.high };
    case 'rdmsr':
      return { routine: 'rdmsr', where: operation.msr, low: 0, high: 0 };
    case 'writeCr8':
      return { routine: 'writeCr8', where: 0, low: operation.value, high: 0 };
    default:
      return { routine: operation.do, where: 0, low: 0, high: 0 };
  }
}
