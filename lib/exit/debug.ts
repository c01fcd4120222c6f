/** Exceptions that user space sees. */
import { RUN_UNION_OFFSET } from '../abi/kvm/kvm-run.ts';
import { fieldChecks, type LayoutValue, layout, u32, u64 } from '../abi/layout.ts';
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
export interface ExceptionExit extends Named<'KVM_EXIT_EXCEPTION'>, LayoutValue<typeof runEx> {}

/** A breakpoint or a single step. `exception` is a vector: 1 (#DB) or 3 (#BP). */
export interface DebugExit extends Named<'KVM_EXIT_DEBUG'>, LayoutValue<typeof runDebug> {}

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
