/** Where the vCPUs of a run were, at the times that they were out of the guest without an exit. */
import type { Vcpu } from '../../kvm/vcpu/vcpu.ts';

/** So many of each vCPU are kept. */
const KEPT = 8;

export class RipSamples {
  readonly #samples = new Map<number, bigint[]>();

  take(vcpu: Vcpu): void {
    this.#samples.set(vcpu.vcpuId, [...this.of(vcpu.vcpuId), vcpu.getRegs().rip].slice(-KEPT));
  }

  /** The oldest first. */
  of(vcpuId: number): readonly bigint[] {
    return this.#samples.get(vcpuId) ?? [];
  }

  clear(): void {
    this.#samples.clear();
  }
}
