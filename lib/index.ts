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
export { decodeExit, describeExit, type Exit, exitToJson } from './exit.ts';
export { AsmCode } from './guest/asm/code.ts';
export { type DisassembledLine, type DisassembleOptions, disassemble } from './guest/asm/disassemble.ts';
export { AsmError } from './guest/asm/error.ts';
export { type AsmValue, type Assembler, asm } from './guest/asm/index.ts';
export { bytesAt, type GuestCode, type GuestMode } from './guest/code.ts';
export { enterFlat32, type Flat32Entry } from './guest/enter-flat32.ts';
export {
  cli,
  flat32,
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
export { ExpectationError, GuestFailureError } from './script/errors.ts';
export type { TraceExit } from './script/event.ts';
export type { Expected } from './script/expect.ts';
export { Machine, type MachineOptions, MachineVcpu, machine, type RunUntilOptions } from './script/machine.ts';
export { Trace } from './script/trace.ts';
export type { Until } from './script/until.ts';
export { DEFAULT_DEADLINE, type RunOptions, type RunOutcome, Vcpu } from './vcpu.ts';
export { type MemorySlot, Vm } from './vm.ts';
