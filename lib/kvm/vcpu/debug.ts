/** KVM_SET_GUEST_DEBUG: single steps and breakpoints. */
import {
  KVM_GUESTDBG_BLOCKIRQ,
  KVM_GUESTDBG_ENABLE,
  KVM_GUESTDBG_INJECT_BP,
  KVM_GUESTDBG_INJECT_DB,
  KVM_GUESTDBG_SINGLESTEP,
  KVM_GUESTDBG_USE_HW_BP,
  KVM_GUESTDBG_USE_SW_BP,
  type KvmGuestDebug,
  kvmGuestDebug,
} from '../../abi/kvm/index.ts';
import { ioctls } from '../../abi/kvm/ioctl.ts';
import { checkChoice, checkFunction, checkObject } from '../../base/check.ts';
import { ArgumentError } from '../../base/errors.ts';
import { boolean, listOf, oneOf, optional, shape, u64 } from '../../base/shape.ts';
import { hex } from '../../base/text.ts';
import type { OpenVcpu } from './host.ts';

/** A breakpoint in a debug register. */
export interface HardwareBreakpoint {
  /** A linear address; for `write` and `access`, a multiple of `length`. */
  address: number | bigint;
  /** What stops the guest: execution (before the instruction), a write, or any access (after it). Default execute. */
  on?: 'execute' | 'write' | 'access';
  /** Bytes that are watched: 1, 2, 4 or 8. Of `execute` always 1. Default 1. */
  length?: 1 | 2 | 4 | 8;
}

/** What ends in KVM_EXIT_DEBUG. */
export interface DebugOptions {
  /** After each instruction. */
  singleStep?: boolean;
  /** INT3 (0xcc) in the guest: see `insertBreakpoint`. */
  software?: boolean;
  /** Up to four. They take the place of the guest's own. */
  hardware?: readonly HardwareBreakpoint[];
  /** No interrupts for the guest meanwhile (KVM_GUESTDBG_BLOCKIRQ, kernels from 5.17 on). */
  blockIrq?: boolean;
}

const breakpoint = shape<HardwareBreakpoint>('a breakpoint takes', {
  address: u64,
  on: optional(oneOf(['execute', 'write', 'access'])),
  length: optional(oneOf([1, 2, 4, 8])),
});
const debugOptions = shape<DebugOptions>('debug() takes', {
  singleStep: optional(boolean),
  software: optional(boolean),
  hardware: optional(listOf(breakpoint, 4)),
  blockIrq: optional(boolean),
});

/** DR7's R/W field. Source: Intel SDM volume 3, "Debug Registers". */
const conditions = { execute: 0, write: 1, access: 3 } as const;
/** DR7's LEN field. */
const lengths = new Map([
  [1, 0],
  [2, 1],
  [4, 3],
  [8, 2],
]);
/** DR7 bit 10 reads as 1. */
const DR7_FIXED = 1n << 10n;

/** The argument of KVM_SET_GUEST_DEBUG; nothing to debug switches it off. Throws ArgumentError. */
export function debugArgument(options: DebugOptions): Partial<KvmGuestDebug> {
  const { hardware = [], singleStep, software, blockIrq } = debugOptions.take(options);
  let control = 0;
  if (singleStep) control |= KVM_GUESTDBG_SINGLESTEP;
  if (software) control |= KVM_GUESTDBG_USE_SW_BP;
  if (hardware.length > 0) control |= KVM_GUESTDBG_USE_HW_BP;
  if (blockIrq) control |= KVM_GUESTDBG_BLOCKIRQ;
  const debugreg = new Array<bigint>(8).fill(0n);
  debugreg[7] = DR7_FIXED;
  hardware.forEach((breakpoint, index) => {
    const { address, on = 'execute', length = 1 } = breakpoint;
    checkChoice<number>('length', length, on === 'execute' ? [1] : [1, 2, 4, 8]);
    const place = BigInt(address);
    if (place % BigInt(length) !== 0n)
      throw new ArgumentError('address', `${hex(place)} is not a multiple of ${length}`, 'Align it.');
    debugreg[index] = place;
    const field = BigInt(conditions[on] | (lengths.get(length)! << 2)) << BigInt(16 + index * 4);
    // The global enable bit of this register.
    debugreg[7]! |= (2n << BigInt(index * 2)) | field;
  });
  return control === 0 ? { control } : { control: control | KVM_GUESTDBG_ENABLE, debugreg };
}

/** Puts INT3 at an offset of guest memory, and returns what takes it out again. */
export function insertBreakpoint(
  memory: { read(offset: number, length: number): Uint8Array; write(offset: number, data: Uint8Array): void },
  offset: number,
): () => void {
  checkObject('memory', memory);
  checkFunction('memory.read', memory.read);
  checkFunction('memory.write', memory.write);
  const original = memory.read(offset, 1);
  memory.write(offset, Uint8Array.of(0xcc));
  return () => memory.write(offset, original);
}

/** What a vCPU is debugged by. The kernel cannot be asked, so this remembers it. */
export class Debug {
  readonly #vcpu: OpenVcpu;
  #guestDebug: Partial<KvmGuestDebug> = { control: 0 };

  constructor(vcpu: OpenVcpu) {
    this.#vcpu = vcpu;
  }

  debug(options: DebugOptions): void {
    this.setGuestDebug(debugArgument(options));
  }

  setGuestDebug(debug: Partial<KvmGuestDebug>): void {
    this.#vcpu.ioctl(ioctls.KVM_SET_GUEST_DEBUG, kvmGuestDebug.encode(checkObject('debug', debug)));
    // An injection is once.
    const control = (debug.control ?? 0) & ~(KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP);
    this.#guestDebug = { ...debug, control };
  }

  get guestDebug(): Readonly<Partial<KvmGuestDebug>> {
    return this.#guestDebug;
  }
}
