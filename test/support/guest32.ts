/** One small 32-bit guest with an IDT, for tests that need to see what reaches it. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import {
  type DsmProfile,
  type Exit,
  enterFlat32,
  flat32,
  GuestMemory,
  hlt,
  type Instruction,
  type IrqchipKind,
  KVM_DEVICE,
  Kvm,
  out8Value,
  spin,
  type Vcpu,
  type Vm,
} from '../../lib/index.ts';

/** Where things lie in guest physical memory. */
export const IDT = 0x0000;
export const GDT = 0x0800;
export const STACK = 0x1000;
export const CODE = 0x1000;
export const HANDLERS = 0x8000;
/** A page for the guest to write. */
export const DATA = 0xc000;
const SIZE = 0x10000;

/** The port that a guest leaves by when its program is over. */
export const DONE = 0x10;
/** The port that a handler writes its vector to. */
export const VECTOR = 0x11;

export interface Guest {
  kvm: Kvm;
  vm: Vm;
  vcpu: Vcpu;
  memory: GuestMemory;
  /** Loads a program and points the vCPU at it. Interrupts are off unless the program enables them. */
  load(instructions: readonly Instruction[], options?: { interrupts?: boolean }): void;
  /** A handler for a vector that writes the vector to port VECTOR, then halts with interrupts off. */
  handle(...vectors: number[]): void;
  /** One exit. */
  run(): Exit;
}

export interface GuestOptions {
  irqchip?: IrqchipKind;
  /** Called before the irqchip and the vCPU are made. */
  before?: (vm: Vm) => void;
  /** Called before the vCPU is made. */
  prepare?: (vm: Vm, kvm: Kvm) => void;
  /** Slot 0's dirty log. */
  logDirtyPages?: boolean;
  /** The KVM device's. Default: as the package has it. */
  profile?: DsmProfile;
}

/** Makes a VM with 64 KiB of memory and vCPU 0, and closes it all after `use`. */
export function withGuest<T>(options: GuestOptions, use: (guest: Guest) => T): T {
  const kvm = Kvm.open(KVM_DEVICE, options.profile ? { profile: options.profile } : {});
  const vm = kvm.createVm();
  const memory = GuestMemory.allocate(SIZE);
  const close = () => {
    vm.close();
    kvm.close();
    memory.close();
  };
  let result: T;
  try {
    options.before?.(vm);
    if (vm.checkExtension('KVM_CAP_SET_TSS_ADDR')) vm.setTssAddr(0xfffb_d000);
    const irqchip = options.irqchip ?? 'full';
    if (irqchip === 'full') vm.createIrqchip();
    if (irqchip === 'split') vm.enableSplitIrqchip();
    vm.setMemory({ slot: 0, guestPhysAddr: 0, memory, logDirtyPages: options.logDirtyPages ?? false });
    options.prepare?.(vm, kvm);
    const vcpu = vm.createVcpu(0);
    result = use(new Guest32(kvm, vm, vcpu, memory));
  } catch (error) {
    close();
    throw error;
  }
  if (result instanceof Promise) return result.finally(close) as T;
  close();
  return result;
}

class Guest32 implements Guest {
  readonly kvm: Kvm;
  readonly vm: Vm;
  readonly vcpu: Vcpu;
  readonly memory: GuestMemory;
  #ran = false;

  constructor(kvm: Kvm, vm: Vm, vcpu: Vcpu, memory: GuestMemory) {
    this.kvm = kvm;
    this.vm = vm;
    this.vcpu = vcpu;
    this.memory = memory;
    // Flat descriptors of 4 GiB, with the selectors that enterFlat32 uses: code 0x08, data 0x10.
    memory.view.setBigUint64(GDT + 8, 0x00cf_9b00_0000_ffffn, true);
    memory.view.setBigUint64(GDT + 16, 0x00cf_9300_0000_ffffn, true);
  }

  load(instructions: readonly Instruction[], options: { interrupts?: boolean } = {}): void {
    // Otherwise KVM finishes the last exit with the new program's registers: it skips an `out` at CODE, for one.
    if (this.#ran) assert.equal(this.vcpu.settle(), false, 'an exit is pending');
    this.memory.write(CODE, flat32(...instructions).bytes);
    enterFlat32(this.vcpu, { rip: CODE, rsp: STACK, interrupts: options.interrupts ?? false });
    const sregs = this.vcpu.getSregs();
    this.vcpu.setSregs({ ...sregs, gdt: { base: BigInt(GDT), limit: 0x17 }, idt: { base: BigInt(IDT), limit: 0x7ff } });
  }

  handle(...vectors: number[]): void {
    for (const vector of vectors) {
      const address = HANDLERS + vector * 16;
      this.memory.write(address, flat32(out8Value(VECTOR, vector), hlt, spin).bytes);
      // An interrupt gate of the 32-bit kind, present.
      const gate = BigInt(address & 0xffff) | (0x08n << 16n) | (0x8e00n << 32n) | (BigInt(address >>> 16) << 48n);
      this.memory.view.setBigUint64(IDT + vector * 8, gate, true);
    }
  }

  run(): Exit {
    this.#ran = true;
    return this.vcpu.run({ deadline: '5s' });
  }
}

/** The vector that a handler told, if that is what the exit is; otherwise `null`. */
export function vectorOf(exit: Exit): number | null {
  return exit.name === 'KVM_EXIT_IO' && exit.direction === 'out' && exit.port === VECTOR ? exit.data[0]! : null;
}

/**
 * True on hosts whose KVM is PVM, the backend that needs no VMX or SVM: it has some capabilities' ioctls and does nothing
 * with them.
 */
export const pvm = existsSync('/sys/module/kvm_pvm');

const cpuinfo = readFileSync('/proc/cpuinfo', 'latin1');

/** Why debug registers and INT3 stop no guest here, or `false`: for a test's `skip`. */
export const noBreakpoints: string | false =
  cpuinfo.includes('QEMU TCG CPU') &&
  "QEMU's emulated SVM arms no debug registers for a guest, and has no intercept of INT3";

/** What a machine of the lab is told of itself; on a host nothing. */
const lane = JSON.parse(process.env.KVM_DSM_LANE_FACTS ?? '{}') as { quirks?: { stepsBeforeFirst: string | null } };

/** Why a guest does not get on by single steps here, or `false`. */
export const noSingleStep: string | false = lane.quirks?.stepsBeforeFirst ?? false;

/** True where KVM is AMD's: a guest's shutdown resets its vCPU there. */
export const kvmAmd = !pvm && /^flags\s*:.*\bsvm\b/m.test(cpuinfo);

/** Why a test that needs a capability cannot run here, or `false`: for a test's `skip`. */
export function lacks(cap: Parameters<Kvm['checkExtension']>[0], mask = 0): string | false {
  let kvm: Kvm;
  try {
    kvm = Kvm.open();
  } catch (error) {
    return (error as Error).message;
  }
  using open = kvm;
  const offered = open.checkExtension(cap);
  if (mask === 0 ? offered > 0 : (offered & mask) === mask) return false;
  return `this kernel does not offer ${cap}${mask === 0 ? '' : ` with bits 0x${mask.toString(16)}`}`;
}
