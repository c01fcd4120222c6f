/** What `decodeExit` returns: one union, discriminated by `name`. Payloads: include/uapi/linux/kvm.h, struct kvm_run. */
import type { MemoryFaultExit, SnpReqCertsExit, TdxExit } from './confidential.ts';
import type { DebugExit, ExceptionExit } from './debug.ts';
import type { DsmExits } from './dsm.ts';
import type { IoapicEoiExit, NotifyExit, SetTprExit, SystemEventExit, TprAccessExit } from './event.ts';
import type { FailEntryExit, InternalErrorExit, ShutdownExit, UnknownExit } from './failure.ts';
import type { Named } from './family.ts';
import type { ForeignExit, UnrecognizedExit } from './foreign.ts';
import type { HypercallExit, XenExit } from './hypercall.ts';
import type { HypervExit } from './hyperv.ts';
import type { IoExit, MmioExit } from './io.ts';
import type { MsrExit } from './msr.ts';
import type { PlainExit } from './plain.ts';

/** Every exit that has a number in mainline. */
export type MainlineExit =
  | PlainExit
  | IoExit
  | MmioExit
  | ExceptionExit
  | DebugExit
  | UnknownExit
  | ShutdownExit
  | FailEntryExit
  | InternalErrorExit
  | MsrExit<'KVM_EXIT_X86_RDMSR'>
  | MsrExit<'KVM_EXIT_X86_WRMSR'>
  | HypervExit
  | HypercallExit
  | XenExit
  | SetTprExit
  | TprAccessExit
  | SystemEventExit
  | IoapicEoiExit
  | NotifyExit
  | MemoryFaultExit
  | TdxExit
  | SnpReqCertsExit
  | ForeignExit;

/** Everything that KVM_RUN can return with. `name` tells which. */
export type Exit = MainlineExit | DsmExits | UnrecognizedExit;

/** The name of an exit, of mainline or of any profile; `unrecognized` of one that has none. */
export type ExitName = Exit['name'];

/** The variant of `Exit` with that name: `ExitOf<'KVM_EXIT_IO'>`. */
export type ExitOf<N extends ExitName> = Extract<Exit, Named<N>>;
