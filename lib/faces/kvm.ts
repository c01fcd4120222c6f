/** `kvm-dsm/kvm`: the KVM objects by hand, their exits, and what a kernel's KVM can be asked. */

export type { Duration } from '../base/duration.ts';
export { errnoName } from '../base/errno.ts';
export {
  ArgumentError,
  ClosedError,
  DeadlineError,
  type ErrorDetails,
  type Failure,
  IoctlError,
  KvmDsmError,
  UnsupportedError,
} from '../base/errors.ts';
export type { MemoryFaultExit, SnpReqCertsExit, TdxCall, TdxExit } from '../exit/confidential.ts';
export type { DebugExit, ExceptionExit } from '../exit/debug.ts';
export { decodeExit } from '../exit/decode.ts';
export type { DapicExit, DsmApicBaseExit, DsmExits, DsmPvIpiExit, DsmSendIrqExit, DsmX2IcrExit } from '../exit/dsm.ts';
export type { IoapicEoiExit, NotifyExit, SetTprExit, SystemEventExit, TprAccessExit } from '../exit/event.ts';
export type { Exit, ExitName, ExitOf, MainlineExit } from '../exit/exit.ts';
export type { FailEntryExit, InternalErrorExit, ShutdownExit, UnknownExit } from '../exit/failure.ts';
export type { Named, WithRaw } from '../exit/family.ts';
export type { ForeignExit, ForeignExitName, UnrecognizedExit } from '../exit/foreign.ts';
export type { HypercallExit, XenExit } from '../exit/hypercall.ts';
export type { HypervExit } from '../exit/hyperv.ts';
export type { IoExit, MmioExit } from '../exit/io.ts';
export { type ExitJson, exitToJson, type JsonValue } from '../exit/json.ts';
export type { MsrExit } from '../exit/msr.ts';
export type { PlainExit } from '../exit/plain.ts';
export { describeExit } from '../exit/text.ts';
export { type ApicvParameter, apicvParameter } from '../host/apicv-parameter.ts';
export { emulatesGuests } from '../host/emulation.ts';
export { connectSints, type SintEnd, SintLine, type SintLineOptions } from '../hyperv/sint-line.ts';
export { type Flagged, type Posted, Synic, type SynicPages, type SynicRegisters } from '../hyperv/synic.ts';
export { type Cpuid, cpuidEntry, hidePvIpi, hideX2apic, hypervCpuid, showTscDeadline } from '../kvm/cpuid.ts';
export { Device, type DeviceAttr } from '../kvm/device.ts';
export type { EnabledCap } from '../kvm/enable-cap.ts';
export * from '../kvm/errors.ts';
export { EventFd } from '../kvm/eventfd.ts';
export { GuestMemory, PAGE_SIZE } from '../kvm/guest-memory.ts';
export { KVM_DEVICE, Kvm } from '../kvm/kvm.ts';
export { LimitError } from '../kvm/limit.ts';
export type { Stat } from '../kvm/stats.ts';
export type { ReadAnswer } from '../kvm/vcpu/answers.ts';
export { type DebugOptions, type HardwareBreakpoint, insertBreakpoint } from '../kvm/vcpu/debug.ts';
export * from '../kvm/vcpu/errors.ts';
export type { ExitRegs } from '../kvm/vcpu/last-exit.ts';
export type { RecordBatch, RecordedExit } from '../kvm/vcpu/run/record-ring.ts';
export type { RecordOptions } from '../kvm/vcpu/run/records.ts';
export type { SyncGroups } from '../kvm/vcpu/sync-regs.ts';
export {
  DEFAULT_DEADLINE,
  type RunOptions,
  type RunOutcome,
  type StartOptions,
  Vcpu,
  type VcpuCounters,
  VcpuRun,
  type VcpuRunState,
} from '../kvm/vcpu/vcpu.ts';
export {
  bindVfioPci,
  hasVfioPci,
  type PciFunction,
  pciFunctions,
  type VfioBinding,
  type VfioFiles,
} from '../kvm/vfio/bind.ts';
export { VfioDevice, type VfioDeviceInfo, type VfioIrqInfo } from '../kvm/vfio/device.ts';
export * from '../kvm/vfio/errors.ts';
export { VfioFile } from '../kvm/vfio/file.ts';
export { VfioContainer, VfioGroup } from '../kvm/vfio/group.ts';
export { enableIrqForwarding, type ForwardedIrq, irqForwarding, VfioPseudoDevice } from '../kvm/vfio/kvm-device.ts';
export type { VmAct } from '../kvm/vm/acts.ts';
export type { CoalescedZone } from '../kvm/vm/coalesced.ts';
export * from '../kvm/vm/errors.ts';
export type { ApicBaseReplay, IpiReplay, ReplayOptions, X2apicReplay } from '../kvm/vm/injection.ts';
export type { IoEvent } from '../kvm/vm/ioeventfd.ts';
export type { MsrFilter, MsrFilterRange } from '../kvm/vm/msr-filter.ts';
export {
  type IrqchipKind,
  type IrqLineStatus,
  type MappedSlot,
  type MemorySlot,
  smmSlot,
  Vm,
  type VmSetup,
} from '../kvm/vm/vm.ts';
export { type ApicvState, apicvState, measureApicv } from '../probe/apicv.ts';
export { forwardsIcrWrites, type ProbeOptions } from '../probe/icr-write.ts';
export { inhibitApicv } from '../probe/inhibit-apicv.ts';
export { knowsInjection } from '../probe/injection.ts';
export { type RecognizedProfile, recognizeProfile, UnknownSeriesError } from '../probe/profile.ts';
export { enableReservedExits, type ReservedExitName, reservedExits } from '../probe/reserved-exits.ts';
export * from '../snapshot/errors.ts';
export { restoreMachineState, saveMachineState } from '../snapshot/machine-state.ts';
