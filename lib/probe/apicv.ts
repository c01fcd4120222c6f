/** Whether a VM's guests have APICv: concluded from what is known of it, or measured by what a guest's reads cost. */
import { APIC_DEFAULT_PHYS_BASE, lapicRegisters } from '../abi/apic/lapic.ts';
import { KVM_GUESTDBG_BLOCKIRQ } from '../abi/kvm/index.ts';
import { checkInstance } from '../base/check.ts';
import { boolean, oneOf, optional, shape } from '../base/shape.ts';
import { read32 } from '../guest/bytes.ts';
import { type ApicvParameter, apicvParameter, apicvParameters } from '../host/apicv-parameter.ts';
import { Kvm } from '../kvm/kvm.ts';
import { Vm } from '../kvm/vm/vm.ts';
import { runTinyGuest, withTinyVm } from './tiny-vm.ts';

/** Whether a VM's guests have APICv (or AVIC), and how far that can be relied on. */
export interface ApicvState {
  /** Guests have it: KVM then sees none of their ICR writes. */
  active: boolean;
  /** True: it was measured, or there is nothing that could make it active. False: a conclusion that may be wrong. */
  certain: boolean;
  /** What it was concluded from, for a person. */
  because: string;
}

const apicvParameterShape = shape<ApicvParameter>('the parameter has', {
  parameter: oneOf(apicvParameters),
  enabled: boolean,
});

/**
 * Whether APICv is active for this VM. No kernel has a call that tells: this concludes it from the VM's irqchip, the
 * module's parameter, and the inhibit of `inhibitApicv`. KVM inhibits APICv for other reasons too, none of which it
 * shows, so that `active: true` is never certain; `measureApicv` finds out by behaviour, in a VM of its own.
 *
 * @throws ArgumentError
 */
export function apicvState(vm: Vm, parameter: ApicvParameter | null = apicvParameter()): ApicvState {
  checkInstance('vm', vm, Vm);
  const given = parameter && apicvParameterShape.take(parameter, 'parameter');
  if (vm.irqchip === 'none')
    return { active: false, certain: true, because: 'the VM has no in-kernel LAPIC that a CPU could virtualize' };
  if (given === null)
    return { active: false, certain: false, because: 'neither kvm_intel nor kvm_amd, which alone have it, is loaded' };
  if (!given.enabled) return { active: false, certain: true, because: `${given.parameter} is off` };
  for (const vcpu of vm.vcpus.values())
    if ((vcpu.guestDebug.control ?? 0) & KVM_GUESTDBG_BLOCKIRQ)
      return { active: false, certain: true, because: `vCPU ${vcpu.vcpuId} is under KVM_GUESTDBG_BLOCKIRQ` };
  return { active: true, certain: false, because: `${given.parameter} is on, and no inhibit is known` };
}

const measureOptions = shape<{ inhibit?: boolean }>('measureApicv() takes', { inhibit: optional(boolean) });

/** How often the probe's guest touches its LAPIC: far more than anything else of it is emulated. */
const TOUCHES = 200;

/**
 * Finds out by behaviour whether a VM of this host has APICv: a guest reads its LDR 200 times, and the vCPU's statistics
 * tell how many instructions KVM had to emulate. With APICv the CPU answers these reads.
 *
 * @param options.inhibit first call `inhibitApicv` on the VM. Default false
 * @returns `null` if the kernel keeps no such statistics (KVM_CAP_BINARY_STATS_FD, Linux 5.14)
 * @throws what `forwardsIcrWrites` throws
 */
export function measureApicv(kvm: Kvm, options: { inhibit?: boolean } = {}): ApicvState | null {
  checkInstance('kvm', kvm, Kvm);
  const { inhibit = false } = measureOptions.take(options);
  if (kvm.checkExtension('KVM_CAP_BINARY_STATS_FD') === 0) return null;
  return withTinyVm(kvm, { pages: 4, inhibit }, (_vm, vcpu, memory) => {
    const touch = read32(APIC_DEFAULT_PHYS_BASE + lapicRegisters.LDR);
    runTinyGuest(vcpu, memory, new Array(TOUCHES).fill(touch));
    const emulated = vcpu.stats().get('insn_emulation')?.values[0];
    if (emulated === undefined) return null;
    const active = emulated < TOUCHES / 2;
    return {
      active,
      certain: true,
      because: `KVM emulated ${emulated} instructions for ${TOUCHES} reads of the LAPIC`,
    };
  });
}
