/** What `decodeExit` returns: one union, discriminated by `name`. Payloads: include/uapi/linux/kvm.h, struct kvm_run. */
import type { ConfidentialExits } from './confidential.ts';
import type { DebugExits } from './debug.ts';
import type { DsmExits } from './dsm.ts';
import type { EventExits } from './event.ts';
import type { FailureExits } from './failure.ts';
import type { ForeignExit, UnrecognizedExit } from './foreign.ts';
import type { HypercallExits } from './hypercall.ts';
import type { HypervExit } from './hyperv.ts';
import type { IoExits } from './io.ts';
import type { MsrExit } from './msr.ts';
import type { PlainExit } from './plain.ts';

/** Every exit that has a number in mainline. */
export type MainlineExit =
  | PlainExit
  | IoExits
  | DebugExits
  | FailureExits
  | MsrExit
  | HypervExit
  | HypercallExits
  | EventExits
  | ConfidentialExits
  | ForeignExit;

/** Everything that KVM_RUN can return with. `name` tells which. */
export type Exit = MainlineExit | DsmExits | UnrecognizedExit;

export type ExitName = Exit['name'];

/** The variant of `Exit` with that name: `ExitOf<'KVM_EXIT_IO'>`. */
export type ExitOf<N extends ExitName> = Extract<Exit, { name: N }>;
