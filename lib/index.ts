/** The public API of kvm-dsm. */

export { capabilities } from './abi/capability.ts';
export type { CoalescedWrite } from './abi/coalesced-ring.ts';
export { type DsmProfile, defaultProfile, profileByName, profiles } from './abi/dsm/profile.ts';
export { defaultGsiRouting, type GsiRoute, type IrqchipName, type MsiMessage } from './abi/gsi-route.ts';
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
export { _IO, _IOR, _IOW, _IOWR, ioctlName, ioctls } from './abi/ioctl.ts';
export type { KvmSyncRegs } from './abi/kvm-run.ts';
export {
  decodeLapic,
  type Lapic,
  type LapicRegisterName,
  lapicRegisters,
  readLapicRegister,
  writeLapicRegister,
} from './abi/lapic.ts';
export { type VfioIommu, vfioIommus, vfioPciIrqs } from './abi/vfio.ts';
export { kvmDebugGicMsiSetup, vlpiCapabilities, vlpiIoctls, vlpiVcpuId } from './abi/vlpi.ts';
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
} from './abi/x86.ts';
export { type ApicvState, apicvParameter, apicvState, inhibitApicv, measureApicv } from './apicv.ts';
export { type Cpuid, cpuidEntry, hidePvIpi, hideX2apic, hypervCpuid } from './cpuid.ts';
export { Device, type DeviceAttr } from './device.ts';
export { enableReservedExits, type ReservedExitName, reservedExits } from './dsm-exits.ts';
export type { Duration } from './duration.ts';
export { emulatesGuests } from './emulation.ts';
export * from './errors.ts';
export { EventFd } from './eventfd.ts';
export { decodeExit, describeExit, type Exit, type ExitName, type ExitOf, exitToJson } from './exit.ts';
export { AsmCode } from './guest/asm/code.ts';
export { type DisassembledLine, type DisassembleOptions, disassemble } from './guest/asm/disassemble.ts';
export { AsmError } from './guest/asm/error.ts';
export { type AsmValue, type Assembler, asm } from './guest/asm/index.ts';
export { bytesAt, type GuestCode, type GuestMode } from './guest/code.ts';
export { enterFlat32, type Flat32Entry } from './guest/enter-flat32.ts';
export { enterLong64, type Long64Entry } from './guest/enter-long64.ts';
export { enterReal16, type Real16Entry } from './guest/enter-real16.ts';
export type { GuestTables, TableRegister } from './guest/entry.ts';
export { vectorName } from './guest/exceptions.ts';
export type { GuestFault } from './guest/fault.ts';
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
} from './guest/flat32.ts';
export { type GuestWord, guestPorts } from './guest/protocol.ts';
export { Snippet, type SnippetValue, snippet } from './guest/snippet.ts';
export * from './guest/snippets/index.ts';
export { type DebugOptions, type HardwareBreakpoint, insertBreakpoint } from './guest-debug.ts';
export { KVM_DEVICE, Kvm } from './kvm.ts';
export { enableIrqForwarding, type ForwardedIrq, irqForwarding, VfioPseudoDevice } from './kvm-vfio.ts';
export { GuestMemory, PAGE_SIZE } from './memory.ts';
export { forwardsIcrWrites, knowsInjection } from './probe.ts';
export type { RecordBatch, RecordedExit, RecordOptions } from './record.ts';
export { ExpectationError, GuestAssertionError, GuestFailureError, GuestFaultError } from './script/errors.ts';
export { describeEvent, isExit, type TraceAct, type TraceEvent, type TraceExit } from './script/event.ts';
export type { Expected } from './script/expect.ts';
export { Machine, type MachineOptions, machine, type RunUntilOptions } from './script/machine.ts';
export { type LoadedProgram, MachineVcpu, type ProgramOptions } from './script/machine-vcpu.ts';
export { Random, random } from './script/random.ts';
export { Trace } from './script/trace.ts';
export type { Until } from './script/until.ts';
export { connectSints, type SintEnd, SintLine, type SintLineOptions } from './sint-line.ts';
export { restoreMachineState, saveMachineState } from './state/machine-state.ts';
export type { Stat } from './stats.ts';
export type { Check as SuiteCheck, Shortfall, Subject } from './suite/check.ts';
export type { CheckContext } from './suite/context.ts';
export type { Need } from './suite/needs.ts';
export { type Flagged, type Posted, Synic, type SynicPages, type SynicRegisters } from './synic.ts';
export { DEFAULT_DEADLINE, type RunOptions, type RunOutcome, Vcpu } from './vcpu.ts';
export { type StartOptions, type VcpuCounters, VcpuRun, type VcpuRunState } from './vcpu-run.ts';
export type { SyncGroups } from './vcpu-state.ts';
export {
  bindVfioPci,
  hasVfioPci,
  type PciFunction,
  pciFunctions,
  type VfioBinding,
  type VfioFiles,
} from './vfio-bind.ts';
export {
  VfioContainer,
  VfioDevice,
  type VfioDeviceInfo,
  VfioFile,
  VfioGroup,
  type VfioIrqInfo,
} from './vfio-file.ts';
export { labFunction, lowerIntx, quietIntx, raiseIntx } from './vfio-lab.ts';
export { type IrqchipKind, type IrqLineStatus, type MappedSlot, type MemorySlot, Vm, type VmSetup } from './vm.ts';
export type { ApicBaseReplay, IpiReplay, ReplayOptions, X2apicReplay } from './vm-injection.ts';
export type { CoalescedZone, IoEvent, MsrFilter, MsrFilterRange } from './vm-io.ts';
