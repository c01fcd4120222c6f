/** The public API of kvm-dsm. */

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
} from './abi/apic/icr.ts';
export {
  decodeLapic,
  type Lapic,
  type LapicRegisterName,
  lapicRegisters,
  readLapicRegister,
  writeLapicRegister,
} from './abi/apic/lapic.ts';
export { type DsmProfile, defaultProfile, profileByName, profiles } from './abi/dsm/profiles.ts';
export {
  decodeMessage,
  decodeSint,
  encodeMessage,
  encodeSint,
  hypervMsrs,
  type ReceivedMessage,
  type Sint,
  type SynicMessage,
} from './abi/hyperv.ts';
export { capabilities } from './abi/kvm/capability.ts';
export type { CoalescedWrite } from './abi/kvm/coalesced-ring.ts';
export { defaultGsiRouting, type GsiRoute, type IrqchipName, type MsiMessage } from './abi/kvm/gsi-route.ts';
export {
  KVM_GUESTDBG_BLOCKIRQ,
  KVM_GUESTDBG_ENABLE,
  KVM_GUESTDBG_SINGLESTEP,
  type KvmClockData,
  type KvmCpuidEntry2,
  type KvmDebugregs,
  type KvmFpu,
  type KvmGuestDebug,
  type KvmIoapicState,
  type KvmMsrEntry,
  type KvmPicState,
  type KvmPitState2,
  type KvmRegs,
  type KvmSegment,
  type KvmSregs,
  type KvmSregs2,
  type KvmTranslation,
  type KvmVcpuEvents,
  type KvmXcr,
  mpStates,
} from './abi/kvm/index.ts';
export { _IO, _IOR, _IOW, _IOWR, ioctlName, ioctls } from './abi/kvm/ioctl.ts';
export type { KvmSyncRegs } from './abi/kvm/kvm-run.ts';
export { type VfioIommu, vfioIommus, vfioPciIrqs } from './abi/vfio.ts';
export { kvmDebugGicMsiSetup, vlpiCapabilities, vlpiIoctls, vlpiVcpuId } from './abi/vlpi.ts';
export type { Duration } from './base/duration.ts';
export { errnoName } from './base/errno.ts';
export {
  ArgumentError,
  ClosedError,
  DeadlineError,
  type ErrorDetails,
  type Failure,
  IoctlError,
  KvmDsmError,
  UnsupportedError,
} from './base/errors.ts';
export { decodeExit, describeExit, type Exit, type ExitName, type ExitOf, exitToJson } from './exit/decode.ts';
export { AsmCode } from './guest/asm/code.ts';
export { type DisassembledLine, type DisassembleOptions, disassemble } from './guest/asm/disassemble.ts';
export { AsmError } from './guest/asm/error.ts';
export { type AsmValue, type Assembler, asm } from './guest/asm/index.ts';
export {
  cli,
  cpuid,
  flat32,
  hlt,
  type Instruction,
  in8,
  int3,
  lidt,
  mov32,
  nop,
  out8,
  out8Value,
  rdmsr,
  read32,
  spin,
  sti,
  store32,
  write16,
  write32,
  wrmsr,
} from './guest/bytes.ts';
export { bytesAt, type GuestCode, type GuestMode } from './guest/code.ts';
export { enterFlat32, type Flat32Entry } from './guest/enter-flat32.ts';
export { enterLong64, type Long64Entry } from './guest/enter-long64.ts';
export { enterReal16, type Real16Entry } from './guest/enter-real16.ts';
export type { GuestTables, TableRegister } from './guest/entry.ts';
export * from './guest/errors.ts';
export { vectorName } from './guest/exceptions.ts';
export type { GuestFault } from './guest/fault.ts';
export { type GuestWord, guestPorts } from './guest/protocol.ts';
export { Snippet, type SnippetValue, snippet } from './guest/snippet.ts';
export * from './guest/snippets/index.ts';
export { emulatesGuests } from './host/emulation.ts';
export { connectSints, type SintEnd, SintLine, type SintLineOptions } from './hyperv/sint-line.ts';
export { type Flagged, type Posted, Synic, type SynicPages, type SynicRegisters } from './hyperv/synic.ts';
export { type Cpuid, cpuidEntry, hidePvIpi, hideX2apic, hypervCpuid } from './kvm/cpuid.ts';
export { Device, type DeviceAttr } from './kvm/device.ts';
export * from './kvm/errors.ts';
export { EventFd } from './kvm/eventfd.ts';
export { GuestMemory, PAGE_SIZE } from './kvm/guest-memory.ts';
export { KVM_DEVICE, Kvm } from './kvm/kvm.ts';
export type { Stat } from './kvm/stats.ts';
export { type DebugOptions, type HardwareBreakpoint, insertBreakpoint } from './kvm/vcpu/debug.ts';
export * from './kvm/vcpu/errors.ts';
export type { RecordBatch, RecordedExit, RecordOptions } from './kvm/vcpu/run/records.ts';
export { type StartOptions, type VcpuCounters, VcpuRun, type VcpuRunState } from './kvm/vcpu/run/run.ts';
export type { SyncGroups } from './kvm/vcpu/state.ts';
export { DEFAULT_DEADLINE, type RunOptions, type RunOutcome, Vcpu } from './kvm/vcpu/vcpu.ts';
export {
  bindVfioPci,
  hasVfioPci,
  type PciFunction,
  pciFunctions,
  type VfioBinding,
  type VfioFiles,
} from './kvm/vfio/bind.ts';
export * from './kvm/vfio/errors.ts';
export {
  VfioContainer,
  VfioDevice,
  type VfioDeviceInfo,
  VfioFile,
  VfioGroup,
  type VfioIrqInfo,
} from './kvm/vfio/file.ts';
export { enableIrqForwarding, type ForwardedIrq, irqForwarding, VfioPseudoDevice } from './kvm/vfio/kvm-device.ts';
export { labFunction, lowerIntx, quietIntx, raiseIntx } from './kvm/vfio/lab-function.ts';
export * from './kvm/vm/errors.ts';
export type { ApicBaseReplay, IpiReplay, ReplayOptions, X2apicReplay } from './kvm/vm/injection.ts';
export type { CoalescedZone, IoEvent, MsrFilter, MsrFilterRange } from './kvm/vm/io.ts';
export {
  type IrqchipKind,
  type IrqLineStatus,
  type MappedSlot,
  type MemorySlot,
  Vm,
  type VmSetup,
} from './kvm/vm/vm.ts';
export { type ApicvState, apicvParameter, apicvState, inhibitApicv, measureApicv } from './probe/apicv.ts';
export { forwardsIcrWrites, knowsInjection } from './probe/icr-write.ts';
export { enableReservedExits, type ReservedExitName, reservedExits } from './probe/reserved-exits.ts';
export { ExpectationError, GuestAssertionError, GuestFailureError, GuestFaultError } from './script/errors.ts';
export type { Expected } from './script/expect/expected.ts';
export { Trace } from './script/expect/trace.ts';
export { Machine, type MachineOptions, machine, type RunUntilOptions } from './script/machine/machine.ts';
export type { Until } from './script/machine/until.ts';
export { type LoadedProgram, MachineVcpu, type ProgramOptions } from './script/machine/vcpu.ts';
export { Random } from './script/random.ts';
export { random } from './script/session.ts';
export * from './snapshot/errors.ts';
export { restoreMachineState, saveMachineState } from './snapshot/machine-state.ts';
export type { Check as SuiteCheck, Shortfall, Subject } from './suite/check.ts';
export type { CheckContext } from './suite/kit/context.ts';
export type { Need } from './suite/kit/needs.ts';
export { describeEvent, isExit, type TraceAct, type TraceEvent, type TraceExit } from './trace/event.ts';
