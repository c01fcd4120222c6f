/** The public API of kvm-dsm. */

export { capabilities } from './abi/capability.ts';
export { type DsmProfile, defaultProfile, profileByName, profiles } from './abi/dsm/profile.ts';
export {
  decodeIcr,
  decodeIcr2,
  decodeX2Icr,
  describeIcr,
  encodeIcr,
  encodeIcr2,
  encodeX2Icr,
  type Icr,
  type IcrFields,
} from './abi/icr.ts';
export { ioctls } from './abi/ioctl.ts';
export { decodeLapic, type Lapic, lapicRegisters, readLapicRegister, writeLapicRegister } from './abi/lapic.ts';
export {
  KVM_GUESTDBG_BLOCKIRQ,
  KVM_GUESTDBG_ENABLE,
  KVM_GUESTDBG_SINGLESTEP,
  type KvmRegs,
  type KvmSegment,
  type KvmSregs,
  mpStates,
} from './abi/x86.ts';
export { apicvParameter, inhibitApicv } from './apicv.ts';
export type { Duration } from './duration.ts';
export * from './errors.ts';
export { decodeExit, describeExit, type Exit, type ExitName, type ExitOf, exitToJson } from './exit.ts';
export { enterFlat32, type Flat32Entry } from './guest/enter-flat32.ts';
export { enterReal16, type Real16Entry } from './guest/enter-real16.ts';
export {
  cli,
  flat32,
  type GuestCode,
  hlt,
  type Instruction,
  out8,
  out8Value,
  read32,
  spin,
  write16,
  write32,
} from './guest/flat32.ts';
export { KVM_DEVICE, Kvm } from './kvm.ts';
export { GuestMemory, PAGE_SIZE } from './memory.ts';
export { forwardsIcrWrites } from './probe.ts';
export type { RecordBatch, RecordedExit, RecordOptions } from './record.ts';
export { ExpectationError, GuestFailureError } from './script/errors.ts';
export type { TraceExit } from './script/event.ts';
export type { Expected } from './script/expect.ts';
export { Machine, type MachineOptions, MachineVcpu, machine, type RunUntilOptions } from './script/machine.ts';
export { Trace } from './script/trace.ts';
export type { Until } from './script/until.ts';
export { DEFAULT_DEADLINE, type RunOptions, type RunOutcome, Vcpu } from './vcpu.ts';
export { type StartOptions, type VcpuCounters, VcpuRun, type VcpuRunState } from './vcpu-run.ts';
export { type MemorySlot, Vm } from './vm.ts';
