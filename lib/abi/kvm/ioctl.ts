/**
 * ioctl request numbers: the codec of `_IO`, `_IOR`, `_IOW`, `_IOWR` (include/uapi/asm-generic/ioctl.h) and the requests
 * of KVM on x86 (include/uapi/linux/kvm.h). DSM's own requests are in the profiles under dsm/.
 */
import { checkInteger } from '../../base/check.ts';
import { ArgumentError } from '../../base/errors.ts';
import { show } from '../../base/text.ts';
import {
  kvmClearDirtyLog,
  kvmClockData,
  kvmCoalescedMmioZone,
  kvmCpuid2,
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
  kvmLapicState,
  kvmMpState,
  kvmMsi,
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

/** The ioctl type ("magic") byte of every KVM request. */
export const KVMIO = 0xae;

/** Where an ioctl's argument goes, seen from user space: `write` is passed in, `read` is filled by the kernel. */
export type IoctlDirection = 'none' | 'write' | 'read' | 'readWrite';

/** The parts of a request number. `size` is the argument's size in bytes, 0..16383. */
export interface IoctlParts {
  dir: IoctlDirection;
  type: number;
  nr: number;
  size: number;
}

/** Index = the two top bits of the number: _IOC_NONE 0, _IOC_WRITE 1, _IOC_READ 2. */
const directions = ['none', 'write', 'read', 'readWrite'] as const;

/** The request number of `parts`: dir 31:30, size 29:16, type 15:8, nr 7:0. Throws ArgumentError if a part is too big. */
export function encodeIoctl({ dir, type, nr, size }: IoctlParts): number {
  for (const [name, value, limit] of [
    ['type', type, 0xff],
    ['nr', nr, 0xff],
    ['size', size, 0x3fff],
  ] as const) {
    if (!Number.isInteger(value) || value < 0 || value > limit) {
      throw new ArgumentError(
        name,
        `an ioctl's ${name} is 0..${limit}, got ${show(value)}`,
        `Pass an integer from 0 to ${limit}.`,
      );
    }
  }
  return ((directions.indexOf(dir) << 30) | (size << 16) | (type << 8) | nr) >>> 0;
}

/** The parts of a 32-bit request number. */
export function decodeIoctl(request: number): IoctlParts {
  return {
    dir: directions[(request >>> 30) as 0 | 1 | 2 | 3],
    type: (request >>> 8) & 0xff,
    nr: request & 0xff,
    size: (request >>> 16) & 0x3fff,
  };
}

/** `_IO(KVMIO, nr)`: no argument, or a plain integer. */
export function _IO(nr: number, type = KVMIO): number {
  return encodeIoctl({ dir: 'none', type, nr, size: 0 });
}

/** `_IOR(KVMIO, nr, ...)` with an argument of `size` bytes. */
export function _IOR(nr: number, size: number, type = KVMIO): number {
  return encodeIoctl({ dir: 'read', type, nr, size });
}

/** `_IOW(KVMIO, nr, ...)` with an argument of `size` bytes. */
export function _IOW(nr: number, size: number, type = KVMIO): number {
  return encodeIoctl({ dir: 'write', type, nr, size });
}

/** `_IOWR(KVMIO, nr, ...)` with an argument of `size` bytes. */
export function _IOWR(nr: number, size: number, type = KVMIO): number {
  return encodeIoctl({ dir: 'readWrite', type, nr, size });
}

/** Requests on /dev/kvm. */
export const systemIoctls = {
  KVM_GET_API_VERSION: _IO(0x00),
  KVM_CREATE_VM: _IO(0x01),
  KVM_GET_MSR_INDEX_LIST: _IOWR(0x02, kvmMsrList.size),
  KVM_CHECK_EXTENSION: _IO(0x03),
  KVM_GET_VCPU_MMAP_SIZE: _IO(0x04),
  KVM_GET_SUPPORTED_CPUID: _IOWR(0x05, kvmCpuid2.size),
  KVM_GET_EMULATED_CPUID: _IOWR(0x09, kvmCpuid2.size),
  KVM_GET_MSR_FEATURE_INDEX_LIST: _IOWR(0x0a, kvmMsrList.size),
  KVM_X86_GET_MCE_CAP_SUPPORTED: _IOR(0x9d, 8),
  KVM_GET_SUPPORTED_HV_CPUID: _IOWR(0xc1, kvmCpuid2.size),
} as const;

/** Requests on a VM. A number without a layout of its own stands for the struct named beside it. */
export const vmIoctls = {
  KVM_CREATE_VCPU: _IO(0x41),
  KVM_GET_DIRTY_LOG: _IOW(0x42, kvmDirtyLog.size),
  KVM_SET_NR_MMU_PAGES: _IO(0x44),
  KVM_GET_NR_MMU_PAGES: _IO(0x45),
  KVM_SET_USER_MEMORY_REGION: _IOW(0x46, kvmUserspaceMemoryRegion.size),
  KVM_SET_TSS_ADDR: _IO(0x47),
  KVM_SET_IDENTITY_MAP_ADDR: _IOW(0x48, 8),
  KVM_SET_USER_MEMORY_REGION2: _IOW(0x49, kvmUserspaceMemoryRegion2.size),
  KVM_CREATE_IRQCHIP: _IO(0x60),
  KVM_IRQ_LINE: _IOW(0x61, kvmIrqLevel.size),
  KVM_GET_IRQCHIP: _IOWR(0x62, kvmIrqchip.size),
  // The kernel declares KVM_SET_IRQCHIP with _IOR although it reads the argument.
  KVM_SET_IRQCHIP: _IOR(0x63, kvmIrqchip.size),
  KVM_CREATE_PIT: _IO(0x64),
  KVM_IRQ_LINE_STATUS: _IOWR(0x67, kvmIrqLevel.size),
  KVM_REGISTER_COALESCED_MMIO: _IOW(0x67, kvmCoalescedMmioZone.size),
  KVM_UNREGISTER_COALESCED_MMIO: _IOW(0x68, kvmCoalescedMmioZone.size),
  KVM_SET_GSI_ROUTING: _IOW(0x6a, kvmIrqRouting.size),
  KVM_REINJECT_CONTROL: _IO(0x71),
  KVM_IRQFD: _IOW(0x76, kvmIrqfd.size),
  KVM_CREATE_PIT2: _IOW(0x77, kvmPitConfig.size),
  KVM_SET_BOOT_CPU_ID: _IO(0x78),
  KVM_IOEVENTFD: _IOW(0x79, kvmIoeventfd.size),
  KVM_XEN_HVM_CONFIG: _IOW(0x7a, 56), // struct kvm_xen_hvm_config
  KVM_SET_CLOCK: _IOW(0x7b, kvmClockData.size),
  KVM_GET_CLOCK: _IOR(0x7c, kvmClockData.size),
  KVM_GET_PIT2: _IOR(0x9f, kvmPitState2.size),
  KVM_SET_PIT2: _IOW(0xa0, kvmPitState2.size),
  KVM_SIGNAL_MSI: _IOW(0xa5, kvmMsi.size),
  KVM_SET_PMU_EVENT_FILTER: _IOW(0xb2, 32), // struct kvm_pmu_event_filter
  KVM_MEMORY_ENCRYPT_OP: _IOWR(0xba, 8), // unsigned long
  KVM_MEMORY_ENCRYPT_REG_REGION: _IOR(0xbb, 16), // struct kvm_enc_region
  KVM_MEMORY_ENCRYPT_UNREG_REGION: _IOR(0xbc, 16), // struct kvm_enc_region
  KVM_HYPERV_EVENTFD: _IOW(0xbd, 24), // struct kvm_hyperv_eventfd
  KVM_CLEAR_DIRTY_LOG: _IOWR(0xc0, kvmClearDirtyLog.size),
  KVM_X86_SET_MSR_FILTER: _IOW(0xc6, kvmMsrFilter.size),
  KVM_RESET_DIRTY_RINGS: _IO(0xc7),
  KVM_XEN_HVM_GET_ATTR: _IOWR(0xc8, 72), // struct kvm_xen_hvm_attr
  KVM_XEN_HVM_SET_ATTR: _IOW(0xc9, 72), // struct kvm_xen_hvm_attr
  KVM_XEN_HVM_EVTCHN_SEND: _IOW(0xd0, 12), // struct kvm_irq_routing_xen_evtchn
  KVM_SET_MEMORY_ATTRIBUTES: _IOW(0xd2, 32), // struct kvm_memory_attributes
  KVM_CREATE_GUEST_MEMFD: _IOWR(0xd4, 64), // struct kvm_create_guest_memfd
  KVM_CREATE_DEVICE: _IOWR(0xe0, kvmCreateDevice.size),
} as const;

/** Requests on a device (KVM_CREATE_DEVICE); some VMs and vCPUs take them as well. */
export const deviceIoctls = {
  KVM_SET_DEVICE_ATTR: _IOW(0xe1, kvmDeviceAttr.size),
  KVM_GET_DEVICE_ATTR: _IOW(0xe2, kvmDeviceAttr.size),
  KVM_HAS_DEVICE_ATTR: _IOW(0xe3, kvmDeviceAttr.size),
} as const;

/** Requests on a vCPU. KVM_ENABLE_CAP, KVM_SET_TSC_KHZ, KVM_GET_TSC_KHZ and KVM_GET_STATS_FD work on a VM as well. */
export const vcpuIoctls = {
  KVM_RUN: _IO(0x80),
  KVM_GET_REGS: _IOR(0x81, kvmRegs.size),
  KVM_SET_REGS: _IOW(0x82, kvmRegs.size),
  KVM_GET_SREGS: _IOR(0x83, kvmSregs.size),
  KVM_SET_SREGS: _IOW(0x84, kvmSregs.size),
  KVM_TRANSLATE: _IOWR(0x85, kvmTranslation.size),
  KVM_INTERRUPT: _IOW(0x86, kvmInterrupt.size),
  KVM_GET_MSRS: _IOWR(0x88, kvmMsrs.size),
  KVM_SET_MSRS: _IOW(0x89, kvmMsrs.size),
  KVM_SET_CPUID: _IOW(0x8a, 8), // struct kvm_cpuid
  KVM_SET_SIGNAL_MASK: _IOW(0x8b, 4), // struct kvm_signal_mask
  KVM_GET_FPU: _IOR(0x8c, kvmFpu.size),
  KVM_SET_FPU: _IOW(0x8d, kvmFpu.size),
  KVM_GET_LAPIC: _IOR(0x8e, kvmLapicState.size),
  KVM_SET_LAPIC: _IOW(0x8f, kvmLapicState.size),
  KVM_SET_CPUID2: _IOW(0x90, kvmCpuid2.size),
  KVM_GET_CPUID2: _IOWR(0x91, kvmCpuid2.size),
  KVM_TPR_ACCESS_REPORTING: _IOWR(0x92, kvmTprAccessCtl.size),
  KVM_SET_VAPIC_ADDR: _IOW(0x93, kvmVapicAddr.size),
  KVM_GET_MP_STATE: _IOR(0x98, kvmMpState.size),
  KVM_SET_MP_STATE: _IOW(0x99, kvmMpState.size),
  KVM_NMI: _IO(0x9a),
  KVM_SET_GUEST_DEBUG: _IOW(0x9b, kvmGuestDebug.size),
  KVM_X86_SETUP_MCE: _IOW(0x9c, 8),
  KVM_X86_SET_MCE: _IOW(0x9e, kvmX86Mce.size),
  KVM_GET_VCPU_EVENTS: _IOR(0x9f, kvmVcpuEvents.size),
  KVM_SET_VCPU_EVENTS: _IOW(0xa0, kvmVcpuEvents.size),
  KVM_GET_DEBUGREGS: _IOR(0xa1, kvmDebugregs.size),
  KVM_SET_DEBUGREGS: _IOW(0xa2, kvmDebugregs.size),
  KVM_SET_TSC_KHZ: _IO(0xa2),
  KVM_GET_TSC_KHZ: _IO(0xa3),
  KVM_ENABLE_CAP: _IOW(0xa3, kvmEnableCap.size),
  KVM_GET_XSAVE: _IOR(0xa4, kvmXsave.size),
  KVM_SET_XSAVE: _IOW(0xa5, kvmXsave.size),
  KVM_GET_XCRS: _IOR(0xa6, kvmXcrs.size),
  KVM_SET_XCRS: _IOW(0xa7, kvmXcrs.size),
  KVM_GET_ONE_REG: _IOW(0xab, 16), // struct kvm_one_reg
  KVM_SET_ONE_REG: _IOW(0xac, 16), // struct kvm_one_reg
  KVM_KVMCLOCK_CTRL: _IO(0xad),
  KVM_GET_REG_LIST: _IOWR(0xb0, 8), // struct kvm_reg_list
  KVM_SMI: _IO(0xb7),
  KVM_GET_NESTED_STATE: _IOWR(0xbe, 128), // struct kvm_nested_state
  KVM_SET_NESTED_STATE: _IOW(0xbf, 128), // struct kvm_nested_state
  KVM_XEN_VCPU_GET_ATTR: _IOWR(0xca, 72), // struct kvm_xen_vcpu_attr
  KVM_XEN_VCPU_SET_ATTR: _IOW(0xcb, 72), // struct kvm_xen_vcpu_attr
  KVM_GET_SREGS2: _IOR(0xcc, kvmSregs2.size),
  KVM_SET_SREGS2: _IOW(0xcd, kvmSregs2.size),
  KVM_GET_STATS_FD: _IO(0xce),
  KVM_GET_XSAVE2: _IOR(0xcf, kvmXsave.size),
  KVM_PRE_FAULT_MEMORY: _IOWR(0xd5, 64), // struct kvm_pre_fault_memory
} as const;

/** Every request of this file: the kernel's name and its number. */
export const ioctls = { ...systemIoctls, ...vmIoctls, ...deviceIoctls, ...vcpuIoctls } as const;
export type IoctlName = keyof typeof ioctls;

const names = new Map<number, string>(Object.entries(ioctls).map(([name, request]) => [request, name]));

/**
 * A request's name for a message: `KVM_CREATE_VM`. `more` adds names that only a profile knows, such as
 * `profile.requests`; it goes before the table of this file. An unknown number comes back in the form of its macro:
 * `_IOW(0xae, 0xf3, 16 bytes)`.
 */
export function ioctlName(request: number, more: Readonly<Record<string, number>> = {}): string {
  checkInteger('request', request, 0, 0xffff_ffff);
  for (const [name, number] of Object.entries(more)) if (number === request) return name;
  const known = names.get(request);
  if (known !== undefined) return known;
  const { dir, type, nr, size } = decodeIoctl(request);
  const macro = { none: '_IO', write: '_IOW', read: '_IOR', readWrite: '_IOWR' }[dir];
  const hex = (value: number) => `0x${value.toString(16).padStart(2, '0')}`;
  return `${macro}(${hex(type)}, ${hex(nr)}${dir === 'none' && size === 0 ? '' : `, ${size} bytes`})`;
}
