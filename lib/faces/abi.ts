/** `kvm-dsm/abi`: numbers, layouts and codecs of KVM's ABI and of the series. */

export {
  decodeIcr,
  decodeIcr2,
  decodeX2Icr,
  describeIcr,
  encodeIcr,
  encodeIcr2,
  encodeX2Icr,
  type Icr,
  type Icr2,
  type IcrCommand,
  type IcrFields,
  type X2Icr,
  type X2IcrFields,
} from '../abi/apic/icr.ts';
export {
  decodeLapic,
  type Lapic,
  type LapicRegisterName,
  lapicRegisters,
  readLapicRegister,
  writeLapicRegister,
} from '../abi/apic/lapic.ts';
export { type DsmExitName, type DsmProfile, defaultProfile, profileByName, profiles } from '../abi/dsm/profiles.ts';
export type {
  CommonDsmExits,
  DsmApicBaseArg,
  DsmDapic,
  DsmExit,
  DsmIpiArg,
  DsmLapicIrq,
  DsmOptIn,
  DsmRequest,
  DsmX2apic,
  DsmX2apicArg,
  DsmX2msrBase,
} from '../abi/dsm/types.ts';
export {
  decodeMessage,
  decodeSint,
  encodeMessage,
  encodeSint,
  hypervMsrs,
  type ReceivedMessage,
  type Sint,
  type SynicMessage,
} from '../abi/hyperv.ts';
export { capabilities } from '../abi/kvm/capability.ts';
export type { CoalescedWrite } from '../abi/kvm/coalesced-ring.ts';
export {
  defaultGsiRouting,
  type GsiRoute,
  type HvSintRoute,
  type IrqchipName,
  type IrqchipRoute,
  irqchipIds,
  type MsiMessage,
  type MsiRoute,
} from '../abi/kvm/gsi-route.ts';
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
  kvmClockData,
  kvmCpuidEntry2,
  kvmDebugregs,
  kvmFpu,
  kvmGuestDebug,
  kvmIoapicState,
  kvmMsrEntry,
  kvmPicState,
  kvmPitState2,
  kvmRegs,
  kvmSegment,
  kvmSregs,
  kvmSregs2,
  kvmTranslation,
  kvmVcpuEvents,
  kvmXcr,
  mpStates,
} from '../abi/kvm/index.ts';
export { type IoctlName, ioctlName, ioctls } from '../abi/kvm/ioctl.ts';
export { type KvmSyncRegs, kvmSyncRegs } from '../abi/kvm/kvm-run.ts';
export { _IO, _IOR, _IOW, _IOWR } from '../abi/kvm/request-number.ts';
export type { Decoded, Field, FieldType, Layout, LayoutValue } from '../abi/layout.ts';
export { type VfioIommu, vfioIommus, vfioPciIrqs } from '../abi/vfio.ts';
export { kvmDebugGicMsiSetup, vlpiCapabilities, vlpiIoctls, vlpiVcpuId } from '../abi/vlpi.ts';
