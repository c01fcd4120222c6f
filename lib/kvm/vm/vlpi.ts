import { VLPI_ARCHITECTURE, type VlpiIoctlName, vlpiIoctls, vlpiVcpuId } from '../../abi/vlpi.ts';
import { checkInteger, checkObject } from '../../base/check.ts';
import { IoctlError, UnsupportedError } from '../../base/errors.ts';
import { ArchitectureError } from '../errors.ts';
import { InterruptLossError, NoVcpuError } from './errors.ts';
import { VmInjection } from './injection.ts';

/** The ioctls about one vCPU's vLPIs. */
type VcpuVlpiIoctl = Exclude<VlpiIoctlName, 'KVM_DEBUG_GIC_MSI_SETUP'>;

const MAX_S32 = 0x7fff_ffff;

/**
 * arm64's GICv4 vLPIs, switched for one vCPU at a time. On another architecture every call is refused before the ioctl,
 * because the numbers have another meaning there: docs/vlpi.md.
 */
export abstract class VmVlpi extends VmInjection {
  /**
   * KVM_ENABLE_VCPU_VLPI: the vCPU gets its LPIs from the hardware. Twice is once.
   *
   * @param vcpuId 0 to 2^31-1
   * @throws ArchitectureError unless this is arm64, ArgumentError, NoVcpuError, ClosedError before the ioctl;
   *   UnsupportedError on a kernel without the series; IoctlError (EINVAL without GICv4)
   */
  enableVcpuVlpi(vcpuId: number): void {
    this.#call('KVM_ENABLE_VCPU_VLPI', vcpuId);
  }

  /**
   * KVM_DISABLE_VCPU_VLPI: the vCPU gets its LPIs by software again. By the series' own words the interrupts that are
   * pending in the vCPU's table may be lost, so that it is refused unless the caller insists.
   *
   * @param options.insist call it all the same. Default false
   * @throws InterruptLossError without `insist`; else as `enableVcpuVlpi`
   */
  disableVcpuVlpi(vcpuId: number, options: { insist?: boolean } = {}): void {
    const { insist = false } = checkObject('options', options);
    this.#call('KVM_DISABLE_VCPU_VLPI', vcpuId, () => {
      if (insist !== true) throw new InterruptLossError('KVM_DISABLE_VCPU_VLPI', vcpuId);
    });
  }

  /** KVM_QUERY_VCPU_VLPI: true if the vCPU gets its LPIs from the hardware. Throws as `enableVcpuVlpi`. */
  queryVcpuVlpi(vcpuId: number): boolean {
    return this.#call('KVM_QUERY_VCPU_VLPI', vcpuId) > 0;
  }

  #call(ioctl: VcpuVlpiIoctl, vcpuId: number, consider: () => void = () => {}): number {
    void this.native;
    checkInteger('vcpuId', vcpuId, 0, MAX_S32);
    const request = vlpiIoctls[ioctl];
    if (process.arch !== VLPI_ARCHITECTURE) throw new ArchitectureError(ioctl, request, VLPI_ARCHITECTURE);
    if (!this.vcpus.has(vcpuId)) throw new NoVcpuError(vcpuId, [...this.vcpus.keys()]);
    consider();
    try {
      return this.ioctlRaw(request, vlpiVcpuId.encode({ vcpuId }));
    } catch (error) {
      if (!(error instanceof IoctlError)) throw error;
      if (error.errnoName === 'ENOTTY')
        throw new UnsupportedError(ioctl, 'vLPIs of one vCPU', 'CONFIG_ARM_GIC_V3_PER_VCPU_VLPI');
      throw new IoctlError(ioctl, error.errno, {
        what: `of vCPU ${vcpuId}`,
        advice: 'EINVAL: the host has no GICv4, or the VM has no vGICv3 with an ITS.',
      });
    }
  }
}
