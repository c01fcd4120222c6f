import { _IOW } from '../../abi/kvm/request-number.ts';
import { VLPI_ARCHITECTURE, type VlpiIoctlName, vlpiIoctls, vlpiVcpuId } from '../../abi/vlpi.ts';
import { checkInteger } from '../../base/check.ts';
import { IoctlError, UnsupportedError } from '../../base/errors.ts';
import { boolean, optional, shape } from '../../base/shape.ts';
import { ArchitectureError } from '../errors.ts';
import { InterruptLossError, NoVcpuError } from './errors.ts';
import type { VmCalls, VmHost } from './host.ts';

/** The ioctls about one vCPU's vLPIs. */
type VcpuVlpiIoctl = Exclude<VlpiIoctlName, 'KVM_DEBUG_GIC_MSI_SETUP'>;

const disableOptions = shape<{ insist?: boolean }>('disableVcpuVlpi() takes', { insist: optional(boolean) });

const MAX_S32 = 0x7fff_ffff;
/** An ioctl number of KVM's type that no kernel uses. */
const NOBODYS = _IOW(0xff, vlpiVcpuId.size);

/**
 * arm64's GICv4 vLPIs, switched for one vCPU at a time. On another architecture every call is refused before the ioctl,
 * because the numbers have another meaning there: docs/vlpi.md.
 */
export class Vlpi {
  readonly #calls: VmCalls;
  readonly #vm: VmHost;

  constructor(calls: VmCalls, vm: VmHost) {
    this.#calls = calls;
    this.#vm = vm;
  }

  enable(vcpuId: number): void {
    this.#call('KVM_ENABLE_VCPU_VLPI', vcpuId);
  }

  disable(vcpuId: number, options: { insist?: boolean }): void {
    const { insist = false } = disableOptions.take(options);
    this.#call('KVM_DISABLE_VCPU_VLPI', vcpuId, () => {
      if (insist !== true) throw new InterruptLossError('KVM_DISABLE_VCPU_VLPI', vcpuId);
    });
  }

  query(vcpuId: number): boolean {
    return this.#call('KVM_QUERY_VCPU_VLPI', vcpuId) > 0;
  }

  #call(ioctl: VcpuVlpiIoctl, vcpuId: number, consider: () => void = () => {}): number {
    void this.#calls.native;
    checkInteger('vcpuId', vcpuId, 0, MAX_S32);
    const request = vlpiIoctls[ioctl];
    if (process.arch !== VLPI_ARCHITECTURE) throw new ArchitectureError(ioctl, request, VLPI_ARCHITECTURE);
    if (!this.#vm.vcpus.has(vcpuId)) throw new NoVcpuError(vcpuId, [...this.#vm.vcpus.keys()]);
    consider();
    try {
      return this.#calls.ioctl(request, vlpiVcpuId.encode({ vcpuId }));
    } catch (error) {
      if (!(error instanceof IoctlError)) throw error;
      if (error.errnoName === 'ENOTTY' || error.errnoName === this.#answerToUnknown())
        throw new UnsupportedError(ioctl, 'vLPIs of one vCPU', 'CONFIG_ARM_GIC_V3_PER_VCPU_VLPI');
      throw new IoctlError(ioctl, error.errno, {
        what: `of vCPU ${vcpuId}`,
        advice: 'EINVAL: the host has no GICv4, or the VM has no vGICv3 with an ITS.',
      });
    }
  }

  /** KVM on arm64 answers EINVAL to an ioctl of a VM that it does not know, others ENOTTY. */
  #answerToUnknown(): string | null {
    try {
      this.#calls.ioctl(NOBODYS, new Uint8Array(vlpiVcpuId.size));
      return null;
    } catch (error) {
      if (error instanceof IoctlError) return error.errnoName;
      throw error;
    }
  }
}
