/** Exceptions that user space sees. */
import { RUN_UNION_OFFSET } from '../abi/kvm/kvm-run.ts';
import { fieldChecks, layout, u32, u64 } from '../abi/layout.ts';
import { hex } from '../base/text.ts';
import type { Kinds, Named } from './family.ts';

/** KVM_EXIT_EXCEPTION. */
export const runEx = layout('struct kvm_run', 8, { exception: u32(0), errorCode: u32(4) }, 'ex');

/** KVM_EXIT_DEBUG. */
export const runDebug = layout(
  'struct kvm_run',
  32,
  {
    exception: u32(0, { cName: 'arch.exception' }),
    pc: u64(8, { cName: 'arch.pc' }),
    dr6: u64(16, { cName: 'arch.dr6' }),
    dr7: u64(24, { cName: 'arch.dr7' }),
  },
  'debug',
);

/** Not made by any KVM of today. */
export interface ExceptionExit extends Named<'KVM_EXIT_EXCEPTION'> {
  /** The exception's vector. */
  exception: number;
  /** What the CPU pushed with it. */
  errorCode: number;
}

/** A breakpoint or a single step (`vcpu.debug`). */
export interface DebugExit extends Named<'KVM_EXIT_DEBUG'> {
  /** A vector: 1 (#DB) or 3 (#BP). */
  exception: number;
  /** Linear address of the instruction: CS base and RIP. */
  pc: bigint;
  /** DR6 of a #DB: bits 3:0 the breakpoints that matched, BS (bit 14) a single step. SDM vol. 3, Debug Status Register. */
  dr6: bigint;
  /** DR7 at the exception. */
  dr7: bigint;
}

export type DebugExits = ExceptionExit | DebugExit;

export const debugExits: Kinds<DebugExits> = {
  KVM_EXIT_EXCEPTION: {
    fields: fieldChecks(runEx),
    decode: (view, reason) => ({ name: 'KVM_EXIT_EXCEPTION', reason, ...runEx.read(view, RUN_UNION_OFFSET) }),
    text: ({ exception, errorCode }) => `exception ${exception}, error code ${hex(errorCode)}`,
    goesOnByItself: true,
  },
  KVM_EXIT_DEBUG: {
    fields: fieldChecks(runDebug),
    decode: (view, reason) => ({ name: 'KVM_EXIT_DEBUG', reason, ...runDebug.read(view, RUN_UNION_OFFSET) }),
    text: ({ exception, pc, dr6, dr7 }) => `exception ${exception} at ${hex(pc)}, DR6 ${hex(dr6)}, DR7 ${hex(dr7)}`,
    goesOnByItself: true,
  },
};
