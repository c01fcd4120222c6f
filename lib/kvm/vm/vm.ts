import type { DsmProfile } from '../../abi/dsm/profiles.ts';
import { type CoalescedWrite, drainCoalescedRing } from '../../abi/kvm/coalesced-ring.ts';
import { ioctls } from '../../abi/kvm/ioctl.ts';
import type { RunBudget } from '../../base/budget.ts';
import { checkInteger } from '../../base/check.ts';
import { ArgumentError, IoctlError } from '../../base/errors.ts';
import { type NativeVm, translated } from '../native.ts';
import type { VcpuHost } from '../vcpu/host.ts';
import { Vcpu } from '../vcpu/vcpu.ts';
import { VcpuExistsError, VcpuIdError } from './errors.ts';
import { VmVlpi } from './vlpi.ts';

export type { EnabledCap } from '../enable-cap.ts';
export type { IrqLineStatus } from './acts.ts';
export type { IrqchipKind } from './irq.ts';
export type { MappedSlot, MemorySlot } from './memory.ts';

/** How a VM was set up, beside memory, interrupt controllers and vCPUs: `null` where nobody said. */
export interface VmSetup {
  tssAddr: number | null;
  identityMapAddr: bigint | null;
  bootCpuId: number | null;
}

/** What a VM has of the KVM device that it was made with. */
export interface VmOrigin {
  readonly profile: DsmProfile;
  readonly budget: RunBudget;
}

/** For `setTssAddr`: below the BIOS area at the end of 4 GiB, where no machine of this package has memory. */
export const TSS_ADDRESS = 0xfffb_d000;

/** A virtual machine. */
export class Vm extends VmVlpi {
  readonly #vcpus = new Map<number, Vcpu>();
  #bootCpuId: number | null = null;

  readonly #origin: VmOrigin;
  readonly #vcpuHost: VcpuHost;

  /** A VM comes from `kvm.createVm()`. */
  constructor(native: NativeVm, origin: VmOrigin) {
    super(native, 'the VM');
    this.#origin = origin;
    this.#vcpuHost = {
      ...origin,
      hasMemory: () => this.hasMemory,
      checkExtension: (cap) => this.checkExtension(cap),
    };
  }

  /** Whose exits and ioctls are meant: as the KVM device was opened with. */
  override get profile(): DsmProfile {
    return this.#origin.profile;
  }

  /** The vCPUs, by vcpu_id, in the order of their making. KVM keeps one that was closed until its VM goes. */
  get vcpus(): ReadonlyMap<number, Vcpu> {
    return this.#vcpus;
  }

  /** KVM_SET_BOOT_CPU_ID: which vcpu_id starts without INIT and SIPI; 0 if nobody says. Throws IoctlError (EBUSY after a vCPU was made). */
  setBootCpuId(vcpuId: number): void {
    checkInteger('vcpuId', vcpuId, 0, 0xffff_ffff);
    this.ioctl(ioctls.KVM_SET_BOOT_CPU_ID, vcpuId, 'Call it before the first createVcpu().');
    this.#bootCpuId = vcpuId;
  }

  /** What `setTssAddr`, `setIdentityMapAddr` and `setBootCpuId` set. */
  get setup(): VmSetup {
    return { tssAddr: this.tssAddr, identityMapAddr: this.identityMapAddr, bootCpuId: this.#bootCpuId };
  }

  /**
   * KVM_CREATE_VCPU.
   *
   * @param vcpuId its APIC id at reset: 0 to KVM_CAP_MAX_VCPU_ID - 1
   * @throws VcpuIdError, VcpuExistsError before the ioctl; IoctlError (KVM_CREATE_VCPU: EINVAL beyond
   *   KVM_CAP_MAX_VCPUS, ENOMEM, EMFILE)
   */
  createVcpu(vcpuId: number): Vcpu {
    const limit = this.checkExtension('KVM_CAP_MAX_VCPU_ID') || this.checkExtension('KVM_CAP_MAX_VCPUS') || 4;
    if (!Number.isInteger(vcpuId) || vcpuId < 0 || vcpuId >= limit) throw new VcpuIdError(vcpuId, limit);
    // KVM keeps a vCPU until its VM goes, whether or not its file descriptor is open.
    if (this.#vcpus.has(vcpuId)) throw new VcpuExistsError(vcpuId);
    const native = this.native;
    let made: Vcpu;
    try {
      made = new Vcpu(
        translated(() => native.createVcpu(vcpuId)),
        vcpuId,
        this.#vcpuHost,
      );
    } catch (error) {
      if (error instanceof IoctlError && error.errnoName === 'EEXIST') throw new VcpuExistsError(vcpuId);
      throw error;
    }
    this.#vcpus.set(vcpuId, made);
    return made;
  }

  override drainCoalesced(): CoalescedWrite[] {
    for (const vcpu of this.#vcpus.values()) if (!vcpu.closed) return drainCoalescedRing(vcpu.kvmRun);
    throw new ArgumentError('vcpus', 'The VM has no open vCPU, and the ring lies in one', 'Call createVcpu() first.');
  }

  /**
   * Closes the vCPUs, then the VM. Memory that it mapped stays with its owner.
   *
   * @throws VcpuStopError of the first vCPU whose thread does not end; all the others and the VM are closed by then
   */
  override close(): void {
    // All at once: many running vCPUs on few CPUs would take long one after the other.
    for (const vcpu of this.#vcpus.values()) vcpu.thread?.askToStop();
    const failures: unknown[] = [];
    for (const vcpu of this.#vcpus.values()) {
      try {
        vcpu.close();
      } catch (error) {
        failures.push(error);
      }
    }
    super.close();
    if (failures.length > 0) throw failures[0];
  }
}
