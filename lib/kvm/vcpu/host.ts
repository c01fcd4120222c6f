import type { DsmProfile } from '../../abi/dsm/profiles.ts';
import type { CapabilityName } from '../../abi/kvm/capability.ts';
import type { RunBudget } from '../../base/budget.ts';

/** What a vCPU needs of its VM: a `Vm` makes it, so that a vCPU knows no `Vm`. */
export interface VcpuHost {
  /** Whose exits are meant: as the KVM device was opened with. */
  readonly profile: DsmProfile;
  /** What guests may take of this program's time. */
  readonly budget: RunBudget;
  /** True once a slot has memory: before that there is nothing to execute. */
  hasMemory(): boolean;
  /** KVM_CHECK_EXTENSION on the VM. */
  checkExtension(cap: CapabilityName): number;
}
