/** Whether a vCPU that sleeps would go on, asked without entering it: KVM_RUN of one that would not does not come back. */
import { lapicRegisters } from '../../abi/apic/lapic.ts';
import { kvmLapicState, kvmVcpuEvents } from '../../abi/kvm/index.ts';
import { ioctls } from '../../abi/kvm/ioctl.ts';
import type { Vcpu } from '../../kvm/vcpu/vcpu.ts';

const page = new DataView(new ArrayBuffer(kvmLapicState.size));
const events = new Uint8Array(kvmVcpuEvents.size);
/** The offset of `nmi.pending` in struct kvm_vcpu_events. */
const NMI_PENDING = 13;

/** @param interrupts RFLAGS.IF is 1 */
export function wakes(vcpu: Vcpu, interrupts: boolean): boolean {
  vcpu.ioctlRaw(ioctls.KVM_GET_VCPU_EVENTS, events);
  if (events[NMI_PENDING] !== 0) return true;
  if (!interrupts) return false;
  vcpu.ioctlRaw(ioctls.KVM_GET_LAPIC, page);
  return takesInterrupt(page);
}

/** Source: Intel SDM volume 3, "Task and Processor Priorities". */
export function takesInterrupt(lapic: DataView): boolean {
  const requested = highest(lapic, lapicRegisters.IRR0);
  const busy = Math.max(highest(lapic, lapicRegisters.ISR0), lapic.getUint32(lapicRegisters.TPR, true) & 0xff);
  return requested >> 4 > busy >> 4;
}

/** The highest vector of 256 bits; 0 if none is set. */
function highest(lapic: DataView, first: number): number {
  for (let word = 7; word >= 0; word--) {
    const bits = lapic.getUint32(first + word * 16, true);
    if (bits !== 0) return word * 32 + 31 - Math.clz32(bits);
  }
  return 0;
}
