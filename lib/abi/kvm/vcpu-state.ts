/** State of a vCPU other than its registers. Source: include/uapi/linux/kvm.h, arch/x86/include/uapi/asm/kvm.h. */
import { array, bytes, type LayoutValue, layout, struct, u8, u32, u64 } from '../layout.ts';

/** Values of kvm_mp_state.mp_state. On x86: RUNNABLE to SIPI_RECEIVED, and AP_RESET_HOLD (SEV-ES). */
export const mpStates = {
  KVM_MP_STATE_RUNNABLE: 0,
  KVM_MP_STATE_UNINITIALIZED: 1,
  KVM_MP_STATE_INIT_RECEIVED: 2,
  KVM_MP_STATE_HALTED: 3,
  KVM_MP_STATE_SIPI_RECEIVED: 4,
  KVM_MP_STATE_STOPPED: 5,
  KVM_MP_STATE_CHECK_STOP: 6,
  KVM_MP_STATE_OPERATING: 7,
  KVM_MP_STATE_LOAD: 8,
  KVM_MP_STATE_AP_RESET_HOLD: 9,
  KVM_MP_STATE_SUSPENDED: 10,
} as const;
export type MpStateName = keyof typeof mpStates;

/** struct kvm_mp_state: KVM_GET_MP_STATE, KVM_SET_MP_STATE. */
export const kvmMpState = layout('struct kvm_mp_state', 4, { mpState: u32(0) });
export type KvmMpState = LayoutValue<typeof kvmMpState>;

/** struct kvm_lapic_state: KVM_GET_LAPIC, KVM_SET_LAPIC; the APIC page's first 1024 bytes. See lapic.ts. */
export const kvmLapicState = layout('struct kvm_lapic_state', 1024, { regs: bytes(0, 1024) });
export type KvmLapicState = LayoutValue<typeof kvmLapicState>;

/** kvm_guest_debug.control: debugging is on. */
export const KVM_GUESTDBG_ENABLE = 0x0000_0001;
/** kvm_guest_debug.control: KVM_EXIT_DEBUG after every instruction. */
export const KVM_GUESTDBG_SINGLESTEP = 0x0000_0002;
/** kvm_guest_debug.control: INT3 in the guest leads to KVM_EXIT_DEBUG. */
export const KVM_GUESTDBG_USE_SW_BP = 0x0001_0000;
/** kvm_guest_debug.control: `debugreg` holds breakpoints of the host. */
export const KVM_GUESTDBG_USE_HW_BP = 0x0002_0000;
/** kvm_guest_debug.control: inject #DB. */
export const KVM_GUESTDBG_INJECT_DB = 0x0004_0000;
/** kvm_guest_debug.control: inject #BP. */
export const KVM_GUESTDBG_INJECT_BP = 0x0008_0000;
/** kvm_guest_debug.control: no interrupts while this is set (kernel 5.17 on). It inhibits APICv for the whole VM. */
export const KVM_GUESTDBG_BLOCKIRQ = 0x0010_0000;

/** struct kvm_guest_debug: KVM_SET_GUEST_DEBUG. `debugreg`: DR0..DR7. */
export const kvmGuestDebug = layout('struct kvm_guest_debug', 72, {
  control: u32(0),
  debugreg: array(u64, 8, 8, { cName: 'arch.debugreg' }),
});
/** What debugging a guest is set to: struct kvm_guest_debug, decoded. */
export type KvmGuestDebug = LayoutValue<typeof kvmGuestDebug>;

/** kvm_vcpu_events.flags: which fields KVM_SET_VCPU_EVENTS takes. */
export const KVM_VCPUEVENT_VALID_NMI_PENDING = 0x01;
export const KVM_VCPUEVENT_VALID_SIPI_VECTOR = 0x02;
export const KVM_VCPUEVENT_VALID_SHADOW = 0x04;
export const KVM_VCPUEVENT_VALID_SMM = 0x08;
export const KVM_VCPUEVENT_VALID_PAYLOAD = 0x10;
export const KVM_VCPUEVENT_VALID_TRIPLE_FAULT = 0x20;

/** kvm_vcpu_events.interrupt.shadow: the instruction before was a load of SS. */
export const KVM_X86_SHADOW_INT_MOV_SS = 0x01;
/** kvm_vcpu_events.interrupt.shadow: the instruction before was STI. */
export const KVM_X86_SHADOW_INT_STI = 0x02;

/** struct kvm_vcpu_events: KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS. */
export const kvmVcpuEvents = layout('struct kvm_vcpu_events', 64, {
  exception: struct(
    layout(null, 8, { injected: u8(0), nr: u8(1), hasErrorCode: u8(2), pending: u8(3), errorCode: u32(4) }),
    0,
  ),
  interrupt: struct(layout(null, 4, { injected: u8(0), nr: u8(1), soft: u8(2), shadow: u8(3) }), 8),
  nmi: struct(layout(null, 4, { injected: u8(0), pending: u8(1), masked: u8(2) }), 12),
  sipiVector: u32(16),
  flags: u32(20),
  smi: struct(layout(null, 4, { smm: u8(0), pending: u8(1), smmInsideNmi: u8(2), latchedInit: u8(3) }), 24),
  tripleFault: struct(layout(null, 1, { pending: u8(0) }), 28),
  exceptionHasPayload: u8(55),
  exceptionPayload: u64(56),
});
/** Exceptions, interrupts, NMIs and SMIs that a vCPU has pending or is delivering: struct kvm_vcpu_events, decoded. */
export type KvmVcpuEvents = { [K in keyof LayoutValue<typeof kvmVcpuEvents>]: LayoutValue<typeof kvmVcpuEvents>[K] };

/** struct kvm_translation: KVM_TRANSLATE; in: `linearAddress`, out: the rest. */
export const kvmTranslation = layout('struct kvm_translation', 24, {
  linearAddress: u64(0),
  physicalAddress: u64(8),
  valid: u8(16),
  writeable: u8(17),
  usermode: u8(18),
});
/** Where a linear address leads in guest physical memory now: struct kvm_translation, decoded. */
export type KvmTranslation = LayoutValue<typeof kvmTranslation>;

/** struct kvm_interrupt: KVM_INTERRUPT; `irq` is a vector, for a VM without in-kernel PIC. */
export const kvmInterrupt = layout('struct kvm_interrupt', 4, { irq: u32(0) });
export type KvmInterrupt = LayoutValue<typeof kvmInterrupt>;

/** struct kvm_tpr_access_ctl: KVM_TPR_ACCESS_REPORTING. */
export const kvmTprAccessCtl = layout('struct kvm_tpr_access_ctl', 40, { enabled: u32(0), flags: u32(4) });
export type KvmTprAccessCtl = LayoutValue<typeof kvmTprAccessCtl>;

/** struct kvm_vapic_addr: KVM_SET_VAPIC_ADDR; a guest physical address. */
export const kvmVapicAddr = layout('struct kvm_vapic_addr', 8, { vapicAddr: u64(0) });
export type KvmVapicAddr = LayoutValue<typeof kvmVapicAddr>;

/** struct kvm_x86_mce: KVM_X86_SET_MCE. */
export const kvmX86Mce = layout('struct kvm_x86_mce', 64, {
  status: u64(0),
  addr: u64(8),
  misc: u64(16),
  mcgStatus: u64(24),
  bank: u8(32),
});
export type KvmX86Mce = LayoutValue<typeof kvmX86Mce>;
