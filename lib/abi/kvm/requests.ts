/**
 * The table of KVM's requests on x86 (include/uapi/linux/kvm.h): each one's number, and how it takes its argument.
 * `npm run build:requests` makes native/core/request_table.h of it, by which the addon checks what goes to the kernel.
 */
import { capabilities } from './capability.ts';
import {
  kvmClearDirtyLog,
  kvmClockData,
  kvmCoalescedMmioZone,
  kvmCpuid2,
  kvmCpuidEntry2,
  kvmCreateDevice,
  kvmDebugregs,
  kvmDeviceAttr,
  kvmDirtyLog,
  kvmEnableCap,
  kvmFpu,
  kvmGuestDebug,
  kvmInterrupt,
  kvmIoeventfd,
  kvmIrqchip,
  kvmIrqfd,
  kvmIrqLevel,
  kvmIrqRouting,
  kvmIrqRoutingEntry,
  kvmLapicState,
  kvmMpState,
  kvmMsi,
  kvmMsrEntry,
  kvmMsrFilter,
  kvmMsrList,
  kvmMsrs,
  kvmPitConfig,
  kvmPitState2,
  kvmRegs,
  kvmSregs,
  kvmSregs2,
  kvmTprAccessCtl,
  kvmTranslation,
  kvmUserspaceMemoryRegion,
  kvmUserspaceMemoryRegion2,
  kvmVapicAddr,
  kvmVcpuEvents,
  kvmX86Mce,
  kvmXcrs,
  kvmXsave,
} from './index.ts';
import { _IO, _IOR, _IOW, _IOWR } from './request-number.ts';

/**
 * How `ioctlRaw` lets a request take its argument.
 *
 * - `none`: an integer, or nothing.
 * - `buffer`: exactly as many bytes as the number encodes.
 * - `array`: a struct that ends in an array. The number encodes the head alone, and the kernel trusts the count in it.
 * - `xsave`: the XSAVE area, which is as large as the guest's features make it, whatever the number says.
 * - `method`: refused, whatever size and direction its number claims. It makes a file descriptor, carries an address or a
 *   file descriptor inside its struct, has its size in the struct, or runs a guest. Those have methods of their own.
 */
export type Request =
  | { readonly number: number; readonly passes: 'none' | 'buffer' | 'xsave' | 'method' }
  | ({ readonly number: number; readonly passes: 'array' } & ArrayShape);

/** Where an array's count lies in the head, and how many bytes it and an entry have. */
export interface ArrayShape {
  readonly countOffset: number;
  readonly countSize: 4 | 8;
  readonly entrySize: number;
}

const none = (number: number): Request => ({ number, passes: 'none' });
const buffer = (number: number): Request => ({ number, passes: 'buffer' });
const xsave = (number: number): Request => ({ number, passes: 'xsave' });
const method = (number: number): Request => ({ number, passes: 'method' });
const array = (number: number, entrySize: number, count: Partial<ArrayShape> = {}): Request => ({
  number,
  passes: 'array',
  countOffset: 0,
  countSize: 4,
  ...count,
  entrySize,
});

/** Requests on /dev/kvm. */
const systemRequests = {
  KVM_GET_API_VERSION: none(_IO(0x00)),
  KVM_CREATE_VM: method(_IO(0x01)),
  KVM_GET_MSR_INDEX_LIST: array(_IOWR(0x02, kvmMsrList.size), 4),
  KVM_CHECK_EXTENSION: none(_IO(0x03)),
  KVM_GET_VCPU_MMAP_SIZE: none(_IO(0x04)),
  KVM_GET_SUPPORTED_CPUID: array(_IOWR(0x05, kvmCpuid2.size), kvmCpuidEntry2.size),
  KVM_GET_EMULATED_CPUID: array(_IOWR(0x09, kvmCpuid2.size), kvmCpuidEntry2.size),
  KVM_GET_MSR_FEATURE_INDEX_LIST: array(_IOWR(0x0a, kvmMsrList.size), 4),
  KVM_X86_GET_MCE_CAP_SUPPORTED: buffer(_IOR(0x9d, 8)),
  KVM_GET_SUPPORTED_HV_CPUID: array(_IOWR(0xc1, kvmCpuid2.size), kvmCpuidEntry2.size),
};

/** Requests on a VM. A number without a layout of its own stands for the struct named beside it. */
const vmRequests = {
  KVM_CREATE_VCPU: method(_IO(0x41)),
  KVM_GET_DIRTY_LOG: method(_IOW(0x42, kvmDirtyLog.size)),
  KVM_SET_NR_MMU_PAGES: none(_IO(0x44)),
  KVM_GET_NR_MMU_PAGES: none(_IO(0x45)),
  KVM_SET_USER_MEMORY_REGION: method(_IOW(0x46, kvmUserspaceMemoryRegion.size)),
  KVM_SET_TSS_ADDR: none(_IO(0x47)),
  KVM_SET_IDENTITY_MAP_ADDR: buffer(_IOW(0x48, 8)),
  KVM_SET_USER_MEMORY_REGION2: method(_IOW(0x49, kvmUserspaceMemoryRegion2.size)),
  KVM_CREATE_IRQCHIP: none(_IO(0x60)),
  KVM_IRQ_LINE: buffer(_IOW(0x61, kvmIrqLevel.size)),
  KVM_GET_IRQCHIP: buffer(_IOWR(0x62, kvmIrqchip.size)),
  // The kernel declares KVM_SET_IRQCHIP with _IOR although it reads the argument.
  KVM_SET_IRQCHIP: buffer(_IOR(0x63, kvmIrqchip.size)),
  KVM_CREATE_PIT: none(_IO(0x64)),
  KVM_IRQ_LINE_STATUS: buffer(_IOWR(0x67, kvmIrqLevel.size)),
  KVM_REGISTER_COALESCED_MMIO: buffer(_IOW(0x67, kvmCoalescedMmioZone.size)),
  KVM_UNREGISTER_COALESCED_MMIO: buffer(_IOW(0x68, kvmCoalescedMmioZone.size)),
  KVM_SET_GSI_ROUTING: array(_IOW(0x6a, kvmIrqRouting.size), kvmIrqRoutingEntry.size),
  KVM_REINJECT_CONTROL: method(_IO(0x71)),
  KVM_IRQFD: method(_IOW(0x76, kvmIrqfd.size)),
  KVM_CREATE_PIT2: buffer(_IOW(0x77, kvmPitConfig.size)),
  KVM_SET_BOOT_CPU_ID: none(_IO(0x78)),
  KVM_IOEVENTFD: method(_IOW(0x79, kvmIoeventfd.size)),
  KVM_XEN_HVM_CONFIG: method(_IOW(0x7a, 56)), // struct kvm_xen_hvm_config
  KVM_SET_CLOCK: buffer(_IOW(0x7b, kvmClockData.size)),
  KVM_GET_CLOCK: buffer(_IOR(0x7c, kvmClockData.size)),
  KVM_GET_PIT2: buffer(_IOR(0x9f, kvmPitState2.size)),
  KVM_SET_PIT2: buffer(_IOW(0xa0, kvmPitState2.size)),
  KVM_SIGNAL_MSI: buffer(_IOW(0xa5, kvmMsi.size)),
  KVM_SET_PMU_EVENT_FILTER: array(_IOW(0xb2, 32), 8, { countOffset: 4 }), // struct kvm_pmu_event_filter
  KVM_MEMORY_ENCRYPT_OP: method(_IOWR(0xba, 8)), // unsigned long
  KVM_MEMORY_ENCRYPT_REG_REGION: method(_IOR(0xbb, 16)), // struct kvm_enc_region
  KVM_MEMORY_ENCRYPT_UNREG_REGION: method(_IOR(0xbc, 16)), // struct kvm_enc_region
  KVM_HYPERV_EVENTFD: method(_IOW(0xbd, 24)), // struct kvm_hyperv_eventfd
  KVM_CLEAR_DIRTY_LOG: method(_IOWR(0xc0, kvmClearDirtyLog.size)),
  KVM_X86_SET_MSR_FILTER: method(_IOW(0xc6, kvmMsrFilter.size)),
  KVM_RESET_DIRTY_RINGS: none(_IO(0xc7)),
  KVM_XEN_HVM_GET_ATTR: method(_IOWR(0xc8, 72)), // struct kvm_xen_hvm_attr
  KVM_XEN_HVM_SET_ATTR: method(_IOW(0xc9, 72)), // struct kvm_xen_hvm_attr
  KVM_XEN_HVM_EVTCHN_SEND: buffer(_IOW(0xd0, 12)), // struct kvm_irq_routing_xen_evtchn
  KVM_SET_MEMORY_ATTRIBUTES: buffer(_IOW(0xd2, 32)), // struct kvm_memory_attributes
  KVM_CREATE_GUEST_MEMFD: method(_IOWR(0xd4, 64)), // struct kvm_create_guest_memfd
  KVM_CREATE_DEVICE: method(_IOWR(0xe0, kvmCreateDevice.size)),
};

/** Requests on a device (KVM_CREATE_DEVICE); some VMs and vCPUs take them as well. */
const deviceRequests = {
  KVM_SET_DEVICE_ATTR: method(_IOW(0xe1, kvmDeviceAttr.size)),
  KVM_GET_DEVICE_ATTR: method(_IOW(0xe2, kvmDeviceAttr.size)),
  KVM_HAS_DEVICE_ATTR: method(_IOW(0xe3, kvmDeviceAttr.size)),
};

/** Requests on a vCPU. KVM_ENABLE_CAP, KVM_SET_TSC_KHZ, KVM_GET_TSC_KHZ and KVM_GET_STATS_FD work on a VM as well. */
const vcpuRequests = {
  KVM_RUN: method(_IO(0x80)),
  KVM_GET_REGS: buffer(_IOR(0x81, kvmRegs.size)),
  KVM_SET_REGS: buffer(_IOW(0x82, kvmRegs.size)),
  KVM_GET_SREGS: buffer(_IOR(0x83, kvmSregs.size)),
  KVM_SET_SREGS: buffer(_IOW(0x84, kvmSregs.size)),
  KVM_TRANSLATE: buffer(_IOWR(0x85, kvmTranslation.size)),
  KVM_INTERRUPT: buffer(_IOW(0x86, kvmInterrupt.size)),
  KVM_GET_MSRS: array(_IOWR(0x88, kvmMsrs.size), kvmMsrEntry.size),
  KVM_SET_MSRS: array(_IOW(0x89, kvmMsrs.size), kvmMsrEntry.size),
  KVM_SET_CPUID: array(_IOW(0x8a, 8), 24), // struct kvm_cpuid, struct kvm_cpuid_entry
  KVM_SET_SIGNAL_MASK: method(_IOW(0x8b, 4)), // struct kvm_signal_mask
  KVM_GET_FPU: buffer(_IOR(0x8c, kvmFpu.size)),
  KVM_SET_FPU: buffer(_IOW(0x8d, kvmFpu.size)),
  KVM_GET_LAPIC: buffer(_IOR(0x8e, kvmLapicState.size)),
  KVM_SET_LAPIC: buffer(_IOW(0x8f, kvmLapicState.size)),
  KVM_SET_CPUID2: array(_IOW(0x90, kvmCpuid2.size), kvmCpuidEntry2.size),
  KVM_GET_CPUID2: array(_IOWR(0x91, kvmCpuid2.size), kvmCpuidEntry2.size),
  KVM_TPR_ACCESS_REPORTING: buffer(_IOWR(0x92, kvmTprAccessCtl.size)),
  KVM_SET_VAPIC_ADDR: buffer(_IOW(0x93, kvmVapicAddr.size)),
  KVM_GET_MP_STATE: buffer(_IOR(0x98, kvmMpState.size)),
  KVM_SET_MP_STATE: buffer(_IOW(0x99, kvmMpState.size)),
  KVM_NMI: none(_IO(0x9a)),
  KVM_SET_GUEST_DEBUG: buffer(_IOW(0x9b, kvmGuestDebug.size)),
  KVM_X86_SETUP_MCE: buffer(_IOW(0x9c, 8)),
  KVM_X86_SET_MCE: buffer(_IOW(0x9e, kvmX86Mce.size)),
  KVM_GET_VCPU_EVENTS: buffer(_IOR(0x9f, kvmVcpuEvents.size)),
  KVM_SET_VCPU_EVENTS: buffer(_IOW(0xa0, kvmVcpuEvents.size)),
  KVM_GET_DEBUGREGS: buffer(_IOR(0xa1, kvmDebugregs.size)),
  KVM_SET_DEBUGREGS: buffer(_IOW(0xa2, kvmDebugregs.size)),
  KVM_SET_TSC_KHZ: none(_IO(0xa2)),
  KVM_GET_TSC_KHZ: none(_IO(0xa3)),
  KVM_ENABLE_CAP: buffer(_IOW(0xa3, kvmEnableCap.size)),
  KVM_GET_XSAVE: xsave(_IOR(0xa4, kvmXsave.size)),
  KVM_SET_XSAVE: xsave(_IOW(0xa5, kvmXsave.size)),
  KVM_GET_XCRS: buffer(_IOR(0xa6, kvmXcrs.size)),
  KVM_SET_XCRS: buffer(_IOW(0xa7, kvmXcrs.size)),
  KVM_GET_ONE_REG: method(_IOW(0xab, 16)), // struct kvm_one_reg
  KVM_SET_ONE_REG: method(_IOW(0xac, 16)), // struct kvm_one_reg
  KVM_KVMCLOCK_CTRL: none(_IO(0xad)),
  KVM_GET_REG_LIST: array(_IOWR(0xb0, 8), 8, { countSize: 8 }), // struct kvm_reg_list
  KVM_SMI: none(_IO(0xb7)),
  KVM_GET_NESTED_STATE: method(_IOWR(0xbe, 128)), // struct kvm_nested_state
  KVM_SET_NESTED_STATE: method(_IOW(0xbf, 128)), // struct kvm_nested_state
  KVM_XEN_VCPU_GET_ATTR: method(_IOWR(0xca, 72)), // struct kvm_xen_vcpu_attr
  KVM_XEN_VCPU_SET_ATTR: method(_IOW(0xcb, 72)), // struct kvm_xen_vcpu_attr
  KVM_GET_SREGS2: buffer(_IOR(0xcc, kvmSregs2.size)),
  KVM_SET_SREGS2: buffer(_IOW(0xcd, kvmSregs2.size)),
  KVM_GET_STATS_FD: method(_IO(0xce)),
  KVM_GET_XSAVE2: xsave(_IOR(0xcf, kvmXsave.size)),
  KVM_PRE_FAULT_MEMORY: buffer(_IOWR(0xd5, 64)), // struct kvm_pre_fault_memory
};

/** Every request: the kernel's name, its number, how it takes its argument. */
export const requests = { ...systemRequests, ...vmRequests, ...deviceRequests, ...vcpuRequests };

/** Capabilities that KVM_ENABLE_CAP refuses, as `method` does: their arguments are an address or a file descriptor. */
export const refusedCapabilities = {
  KVM_CAP_HYPERV_ENLIGHTENED_VMCS: capabilities.KVM_CAP_HYPERV_ENLIGHTENED_VMCS,
  KVM_CAP_SGX_ATTRIBUTE: capabilities.KVM_CAP_SGX_ATTRIBUTE,
  KVM_CAP_VM_COPY_ENC_CONTEXT_FROM: capabilities.KVM_CAP_VM_COPY_ENC_CONTEXT_FROM,
  KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM: capabilities.KVM_CAP_VM_MOVE_ENC_CONTEXT_FROM,
};
