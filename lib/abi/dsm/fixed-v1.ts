/**
 * Profile `fixed-v1`: the corrected series of kernel/fixed. A VM makes the exits if it has asked for them before its first
 * vCPU; KVM_RUN returns with a write before the guest's next instruction, whatever way the write took; the injection ioctls
 * refuse what they cannot do. What rfc-v2 has keeps its numbers and offsets, with the padding named; exit 44 is gone.
 * The numbers are the lab's: upstream gives the next free ones.
 */
import { array, layout, u32, u64 } from '../layout.ts';
import { rfcV2 } from './rfc-v2.ts';
import type { DsmProfile } from './types.ts';

/** KVM_EXIT_DSM_PV_IPI. */
export const pvIpi = layout('struct kvm_dsm_pv_ipi', 32, {
  id: u32(0),
  icr: u32(4),
  type: u32(8),
  base: u32(12),
  mask: array(u64, 16, 2),
});

const uapi = 'kernel/fixed, include/uapi/linux/kvm.h';
const patches = {
  optIn: `${uapi}: the patch that adds KVM_CAP_X86_APIC_EXIT`,
  icr: `${uapi}: the patch of ICR and SELF IPI`,
  pv: `${uapi}: the patch of the paravirtual senders`,
  base: `${uapi}: the patch of IA32_APIC_BASE`,
  replay: `${uapi}: the patch of the replay ioctls`,
};

const { KVM_EXIT_DSM_SEND_IRQ, KVM_EXIT_DSM_X2_ICR, KVM_EXIT_DSM_APIC_BASE } = rfcV2.exits;
const { KVM_DSM_IPI, KVM_DSM_X2APIC, KVM_DSM_APIC_BASE } = rfcV2.ioctls;

export const fixedV1 = {
  name: 'fixed-v1',
  title: 'the corrected series of kernel/fixed',
  exits: {
    KVM_EXIT_DSM_SEND_IRQ: { ...KVM_EXIT_DSM_SEND_IRQ, source: patches.icr },
    KVM_EXIT_DSM_X2_ICR: { ...KVM_EXIT_DSM_X2_ICR, emitted: true, source: patches.icr },
    KVM_EXIT_DSM_APIC_BASE: { ...KVM_EXIT_DSM_APIC_BASE, emitted: true, source: patches.base },
    KVM_EXIT_DSM_PV_IPI: { reason: 48, payload: pvIpi, emitted: true, source: patches.pv },
  },
  ioctls: {
    KVM_DSM_IPI: { ...KVM_DSM_IPI, source: patches.replay },
    KVM_DSM_X2APIC: { ...KVM_DSM_X2APIC, source: patches.replay },
    KVM_DSM_APIC_BASE: { ...KVM_DSM_APIC_BASE, source: patches.replay },
  },
  requests: rfcV2.requests,
  optIn: {
    name: 'KVM_CAP_X86_APIC_EXIT',
    capability: 0x4453,
    bits: { ICR: 1, BASE: 2, PV: 4, DEFER: 8 },
    // BASE is for who replays it: a guest's own start-up would exit for it. DEFER is for who delivers what is told.
    usual: ['ICR', 'PV'],
    source: patches.optIn,
  },
  injectionChecks: true,
  drains: true,
} satisfies DsmProfile;
