import { translated } from '../native.ts';
import type { VcpuHost } from '../vcpu/host.ts';
import { Vcpu } from '../vcpu/vcpu.ts';
import { VcpuExistsError, VcpuIdError } from './errors.ts';
import type { VmCalls } from './host.ts';

/** A VM's vCPUs: KVM keeps each until the VM goes, whether or not its file descriptor is open. */
export class Vcpus {
  readonly #calls: VmCalls;
  readonly #host: VcpuHost;
  readonly #byId = new Map<number, Vcpu>();

  constructor(calls: VmCalls, host: VcpuHost) {
    this.#calls = calls;
    this.#host = host;
  }

  get byId(): ReadonlyMap<number, Vcpu> {
    return this.#byId;
  }

  create(vcpuId: number): Vcpu {
    const host = this.#host;
    const limit = host.checkExtension('KVM_CAP_MAX_VCPU_ID') || host.checkExtension('KVM_CAP_MAX_VCPUS') || 4;
    if (!Number.isInteger(vcpuId) || vcpuId < 0 || vcpuId >= limit) throw new VcpuIdError(vcpuId, limit);
    if (this.#byId.has(vcpuId)) throw new VcpuExistsError(vcpuId);
    const { native } = this.#calls;
    const made = new Vcpu(
      translated(() => native.createVcpu(vcpuId)),
      vcpuId,
      host,
    );
    this.#byId.set(vcpuId, made);
    return made;
  }

  /** The kvm_run of any vCPU that is open. */
  get openRun(): DataView | undefined {
    for (const vcpu of this.#byId.values()) if (!vcpu.closed) return vcpu.kvmRun;
    return undefined;
  }

  /** Closes all of them, whatever one throws: gives what they threw. */
  close(): unknown[] {
    // All at once: many running vCPUs on few CPUs would take long one after the other.
    for (const vcpu of this.#byId.values()) vcpu.thread?.askToStop();
    const failures: unknown[] = [];
    for (const vcpu of this.#byId.values()) {
      try {
        vcpu.close();
      } catch (error) {
        failures.push(error);
      }
    }
    return failures;
  }
}
