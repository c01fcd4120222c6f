/**
 * Why the kernel refuses an ioctl, by its errno: what an IoctlError advises where the place that throws it knows nothing
 * better. Source: Linux 6.12: Documentation/virt/kvm/api.rst, virt/kvm, arch/x86/kvm.
 */

type Causes = Readonly<Record<string, readonly string[]>>;

const outOfMemory = ['the kernel has no memory for it'];
const noIrqchip = ['the VM lacks the in-kernel interrupt controller'];
const setSregs = [
  'CR0.PG without CR0.PE, or CR0 with a reserved bit or NW without CD',
  'CR4 with a bit that the vCPU lacks by its CPUID',
  'EFER.LMA without both EFER.LME and CR0.PG, or LMA in 64-bit mode without CR4.PAE',
  'CS.L and CS.D both set while EFER.LMA is',
  'a CR3 beyond the physical addresses of the CPUID',
  'an apic_base with reserved bits, beyond the physical addresses, or in a mode that it cannot change to',
];

/** By ioctl, then by errno. A cause is what the caller did, in words that follow "because". */
const table: Readonly<Record<string, Causes>> = {
  KVM_CREATE_VM: {
    EINVAL: ['the type of VM is not one that KVM_CAP_VM_TYPES offers'],
    EBUSY: ['hardware virtualization cannot be switched on: another hypervisor has the CPU'],
    ENOMEM: outOfMemory,
  },
  KVM_CREATE_VCPU: {
    EEXIST: ['the VM has a vCPU of that id', 'memory lies where KVM on Intel keeps a page of its own'],
    EINVAL: [
      'the VM has KVM_CAP_MAX_VCPUS vCPUs already',
      'the id is not below KVM_CAP_MAX_VCPU_ID, or not below the limit that enabling that capability set',
    ],
    ENOMEM: outOfMemory,
  },
  KVM_RUN: {
    EFAULT: [
      'a page of guest memory is not mapped in this process, or a VM with private memory accessed it the other way',
    ],
    EINVAL: [
      'kvm_valid_regs or kvm_dirty_regs has a bit that KVM_CAP_SYNC_REGS does not offer',
      'the registers in kvm_run are ones that KVM_SET_SREGS would refuse',
    ],
    EIO: [
      'KVM has marked the VM as dead: a bug of its own, or a guest that it cannot emulate; the kernel log says which',
    ],
  },
  KVM_SET_USER_MEMORY_REGION: {
    EEXIST: [
      'it overlaps another slot',
      'it covers pages that KVM keeps for itself on Intel (KVM_SET_TSS_ADDR, the identity map, the local APICs)',
    ],
    EINVAL: [
      'an address or size is no multiple of 4096',
      'the slot is not below KVM_CAP_NR_MEMSLOTS',
      'the size, the memory or the read-only flag of a slot in use changes: remove it first',
      'the range ends beyond the guest physical addresses',
      'a slot that is empty is removed',
    ],
    ENOMEM: outOfMemory,
  },
  KVM_GET_DIRTY_LOG: {
    ENOENT: ['the slot does not log: set logDirtyPages'],
    EINVAL: ['there is no such slot'],
    ENXIO: ['KVM_CAP_DIRTY_LOG_RING is enabled instead'],
  },
  KVM_CLEAR_DIRTY_LOG: {
    ENOENT: ['the slot does not log: set logDirtyPages'],
    EINVAL: ['the first page or the number of pages is no multiple of 64 before the end of the slot'],
    ENXIO: ['KVM_CAP_DIRTY_LOG_RING is enabled instead'],
  },
  KVM_SET_TSS_ADDR: {
    EINVAL: ['the three pages do not end below 4 GiB'],
    EEXIST: ['a memory slot covers the three pages'],
  },
  KVM_SET_IDENTITY_MAP_ADDR: { EINVAL: ['the VM has a vCPU already'] },
  KVM_SET_BOOT_CPU_ID: { EBUSY: ['the VM has a vCPU already'] },
  KVM_CREATE_IRQCHIP: { EEXIST: ['the VM has interrupt controllers already'], EINVAL: ['the VM has a vCPU already'] },
  KVM_GET_IRQCHIP: { ENXIO: noIrqchip, EINVAL: ['there is no such chip'] },
  KVM_SET_IRQCHIP: { ENXIO: noIrqchip, EINVAL: ['there is no such chip'] },
  KVM_CREATE_PIT2: { EEXIST: ['the VM has a PIT already'], ENOENT: noIrqchip },
  KVM_GET_PIT2: { ENXIO: ['the VM has no PIT: createPit2()'] },
  KVM_SET_PIT2: { ENXIO: ['the VM has no PIT: createPit2()'] },
  KVM_REINJECT_CONTROL: { ENXIO: ['the VM has no PIT: createPit2()'] },
  KVM_IRQ_LINE: { ENXIO: noIrqchip },
  KVM_IRQ_LINE_STATUS: { ENXIO: noIrqchip },
  KVM_SIGNAL_MSI: {
    EINVAL: [
      'the VM has no in-kernel local APICs',
      'the lowest byte of addressHi is not 0, with KVM_CAP_X2APIC_API enabled',
      'flags are set',
    ],
  },
  KVM_SET_GSI_ROUTING: {
    EINVAL: [
      'the VM has no in-kernel interrupt controller',
      'a GSI is not below KVM_CAP_IRQ_ROUTING',
      'one GSI has a message and a pin, or two routes to one chip',
      'a route leads to a PIC or IOAPIC that the VM lacks (split irqchip), or to a pin that it lacks',
      'the lowest byte of an addressHi is not 0, with KVM_CAP_X2APIC_API enabled',
      'there are more routes than 4096',
    ],
    ENOMEM: outOfMemory,
  },
  KVM_IRQFD: {
    EINVAL: [
      'the VM has no in-kernel interrupt controller',
      'the GSI is not below KVM_CAP_IRQ_ROUTING',
      'resampling needs the in-kernel IOAPIC, which a split irqchip lacks',
      'resampling is asked for together with removal',
    ],
    EBUSY: ['the event asserts a GSI of this VM already'],
    EBADF: ['an event is closed'],
  },
  KVM_IOEVENTFD: {
    EEXIST: ['another event has the same address, length and datamatch'],
    ENOENT: ['no event is assigned so: give what it was assigned with'],
    EINVAL: ['the length is not 0, 1, 2, 4 or 8', 'a datamatch needs a length', 'the range wraps around'],
    ENOSPC: ['the bus of the VM has 1000 devices'],
  },
  KVM_REGISTER_COALESCED_MMIO: { ENOSPC: ['the bus of the VM has 1000 devices'], EINVAL: ['pio is neither 0 nor 1'] },
  KVM_UNREGISTER_COALESCED_MMIO: { EINVAL: ['pio is neither 0 nor 1'] },
  KVM_CREATE_DEVICE: {
    ENODEV: ['the kernel has no device of that type (on x86: VFIO alone)'],
    EBUSY: ['the VM has a device of that type already'],
    EINVAL: ['flags are set other than KVM_CREATE_DEVICE_TEST'],
  },
  KVM_SET_DEVICE_ATTR: {
    ENXIO: ['there is no such group or attribute'],
    EPERM: ['the attribute cannot be set'],
    EBUSY: ['the attribute cannot be set in this state'],
    EBADF: ['the payload names a file that is not open'],
    ENODEV: ['the file is none of a VFIO group or device, or is not attached'],
    EEXIST: ['the file is added already'],
    ENOENT: ['the file was not added'],
  },
  KVM_GET_DEVICE_ATTR: {
    ENXIO: ['there is no such group or attribute'],
    EPERM: ['the object has no attributes to get'],
  },
  KVM_HAS_DEVICE_ATTR: { EPERM: ['the object has no attributes'] },
  KVM_ENABLE_CAP: {
    EINVAL: [
      'the capability is none that can be enabled here, is enabled at another object (VM or vCPU), or came too late (before the first vCPU, before the irqchip)',
      'flags or an argument are not what the capability takes: api.rst, sections 6 and 7',
    ],
    EEXIST: ['the VM has interrupt controllers already'],
  },
  KVM_SET_CLOCK: { EINVAL: ['flags have a bit that the kernel does not know'] },
  KVM_X86_SET_MSR_FILTER: {
    EINVAL: [
      'flags have a bit that the kernel does not know',
      'a range has no MSRs or more than 12288',
      'a range has neither KVM_MSR_FILTER_READ nor KVM_MSR_FILTER_WRITE',
      'everything is denied by default and there is no range',
    ],
  },
  KVM_X86_SETUP_MCE: {
    EINVAL: ['there are no banks, or more than 32', 'a bit that KVM_X86_GET_MCE_CAP_SUPPORTED does not have'],
  },
  KVM_SET_REGS: { EINVAL: ['the vCPU is confidential'] },
  KVM_SET_SREGS: { EINVAL: setSregs },
  KVM_SET_SREGS2: {
    EINVAL: [
      ...setSregs,
      'flags have a bit other than KVM_SREGS2_FLAGS_PDPTRS_VALID, or PDPTRs come without PAE paging',
    ],
  },
  KVM_SET_XSAVE: {
    EINVAL: ['XSTATE_BV or XCOMP_BV of the header has a bit that the vCPU lacks, or MXCSR a reserved one'],
  },
  KVM_SET_XCRS: {
    EINVAL: [
      'XCR0 has a bit that the CPUID does not offer, lacks bit 0, or has bit 2 without bit 1',
      'an XCR other than 0',
      'there are flags, or the host has no XSAVE',
    ],
  },
  KVM_SET_DEBUGREGS: { EINVAL: ['DR6 or DR7 has one of its upper 32 bits set', 'flags are set'] },
  KVM_SET_CPUID2: {
    EINVAL: [
      'the vCPU has run already, and this CPUID differs',
      'leaf 0x80000008 has a width of virtual addresses other than 48, 57 or 0',
    ],
    E2BIG: ['there are more entries than 256'],
    EPERM: ['a dynamic XSAVE feature that this process has no permission for (ARCH_REQ_XCOMP_GUEST_PERM)'],
  },
  KVM_SET_MSRS: { E2BIG: ['there are more MSRs than 256'] },
  KVM_GET_MSRS: { E2BIG: ['there are more MSRs than 256'] },
  KVM_GET_LAPIC: { EINVAL: ['the vCPU has no in-kernel local APIC'] },
  KVM_SET_LAPIC: {
    EINVAL: ['the vCPU has no in-kernel local APIC', 'in x2APIC mode the page has another APIC id than the vCPU'],
  },
  KVM_SET_MP_STATE: {
    EINVAL: [
      'the state is none of x86',
      'there is no in-kernel local APIC, which every state but RUNNABLE needs',
      'INIT_RECEIVED or SIPI_RECEIVED while the vCPU is in SMM or takes no INIT',
    ],
  },
  KVM_SET_VCPU_EVENTS: {
    EINVAL: [
      'flags have a bit that the kernel does not know',
      'the exception is 2 (NMI) or above 31, or a payload comes without KVM_CAP_EXCEPTION_PAYLOAD',
      'SMM without KVM_CAP_X86_SMM',
    ],
  },
  KVM_SET_GUEST_DEBUG: {
    EBUSY: ['an exception is pending, and KVM_GUESTDBG_INJECT_DB or _BP would add one'],
    EINVAL: ['the guest is confidential'],
  },
  KVM_INTERRUPT: {
    ENXIO: ['the PIC is in the kernel: raise a line (vm.irqLine) or send a message (vm.signalMsi)'],
    EEXIST: ['an interrupt waits already: run the vCPU until KVM_EXIT_IRQ_WINDOW_OPEN'],
    EINVAL: ['the vector is not 0 to 255'],
  },
  KVM_SMI: { ENOTTY: ['the kernel is built without KVM_SMM'], EINVAL: ['the kernel is built without KVM_SMM'] },
  KVM_SET_TSC_KHZ: {
    EINVAL: ['the host cannot scale the TSC (KVM_CAP_TSC_CONTROL) that far', 'the VM is confidential'],
  },
  KVM_GET_TSC_KHZ: { EIO: ["the host's TSC is not stable"] },
  KVM_KVMCLOCK_CTRL: { EINVAL: ['the guest has no kvmclock'] },
  KVM_DSM_IPI: {
    EINVAL: [
      'the kernel checks its arguments: no such vCPU, no in-kernel local APIC, another register than ICR and ICR2, or not in xAPIC mode',
    ],
  },
  KVM_DSM_X2APIC: {
    EINVAL: [
      'the kernel checks its arguments: no such vCPU, no in-kernel local APIC, reserved bits, or not in x2APIC mode',
    ],
  },
  KVM_DSM_APIC_BASE: {
    EINVAL: [
      'the kernel checks its arguments: no such vCPU, no in-kernel local APIC, or a value that the vCPU cannot take',
    ],
  },
};

/** What the kernel means by that errno of that ioctl, most likely first; none where nobody wrote it down. */
export function ioctlCauses(ioctl: string, errno: string): readonly string[] {
  return table[ioctl]?.[errno] ?? [];
}

/** The ioctls that have causes. */
export const ioctlsWithCauses: readonly string[] = Object.keys(table);
