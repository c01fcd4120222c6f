import {
  cpuid2Room,
  decodeCpuid2,
  decodeMsrs,
  encodeCpuid2,
  encodeMsrs,
  type KvmCpuidEntry2,
  type KvmMsrEntry,
} from '../../abi/kvm/index.ts';
import { ioctls } from '../../abi/kvm/ioctl.ts';
import { checkInteger, checkList, checkObject, checkU64 } from '../../base/check.ts';
import { type Cpuid, MAX_CPUID_ENTRIES } from '../cpuid.ts';
import { MsrRefusedError } from './errors.ts';
import { VcpuRegs } from './registers.ts';

/** As many as the kernel takes in one call: less than its MAX_IO_MSRS. */
const MSRS_PER_CALL = 255;

/** A vCPU's MSRs, its CPUID and its TSC. */
export abstract class VcpuFeatures extends VcpuRegs {
  /**
   * KVM_GET_MSRS: the values, in the order of `indices`.
   *
   * @param indices MSR numbers, 0 to 2^32-1
   * @throws MsrRefusedError that names the first MSR that the vCPU lacks; ArgumentError
   */
  getMsrs(indices: readonly number[]): bigint[] {
    for (const index of checkList('indices', indices)) checkInteger('index', index, 0, 0xffff_ffff);
    const values: bigint[] = [];
    for (let start = 0; start < indices.length; start += MSRS_PER_CALL) {
      const chunk = indices.slice(start, start + MSRS_PER_CALL);
      const argument = encodeMsrs(chunk.map((index) => ({ index })));
      const done = this.ioctl(ioctls.KVM_GET_MSRS, argument);
      if (done < chunk.length) throw new MsrRefusedError('KVM_GET_MSRS', chunk[done]!, start + done);
      for (const { data } of decodeMsrs(argument)) values.push(data);
    }
    return values;
  }

  /** KVM_GET_MSRS of one MSR. Throws MsrRefusedError. */
  getMsr(index: number): bigint {
    return this.getMsrs([index])[0]!;
  }

  /**
   * KVM_SET_MSRS, in the order of the list. It goes past the guest's own permissions: read-only MSRs of a guest may be set.
   *
   * @throws MsrRefusedError that names the first MSR, or value, that was refused: those before it are set; ArgumentError
   */
  setMsrs(msrs: readonly KvmMsrEntry[]): void {
    for (const msr of checkList('msrs', msrs)) {
      const { index, data } = checkObject('msrs', msr);
      checkInteger('index', index, 0, 0xffff_ffff);
      checkU64('data', data);
    }
    for (let start = 0; start < msrs.length; start += MSRS_PER_CALL) {
      const chunk = msrs.slice(start, start + MSRS_PER_CALL);
      const done = this.ioctl(ioctls.KVM_SET_MSRS, encodeMsrs(chunk));
      const refused = chunk[done];
      if (refused) throw new MsrRefusedError('KVM_SET_MSRS', refused.index, start + done, refused.data);
    }
  }

  /** KVM_SET_MSRS of one MSR. Throws MsrRefusedError. */
  setMsr(index: number, data: bigint): void {
    this.setMsrs([{ index, data }]);
  }

  /** KVM_GET_CPUID2: what `setCpuid2` set; a new vCPU has none. */
  getCpuid2(): KvmCpuidEntry2[] {
    const room = cpuid2Room(MAX_CPUID_ENTRIES);
    this.ioctl(ioctls.KVM_GET_CPUID2, room);
    return decodeCpuid2(room);
  }

  /**
   * KVM_SET_CPUID2: what the guest's CPUID instruction answers, and what the vCPU can do. Before its first run.
   *
   * @param cpuid at most 256 entries, such as `kvm.supportedCpuid()`
   * @throws ArgumentError; IoctlError (KVM_SET_CPUID2: EINVAL for a CPUID that KVM cannot give, or after a run)
   */
  setCpuid2(cpuid: Cpuid): void {
    checkList('cpuid', cpuid, MAX_CPUID_ENTRIES);
    this.ioctl(ioctls.KVM_SET_CPUID2, encodeCpuid2(cpuid));
  }

  /** KVM_GET_TSC_KHZ: the frequency of the guest's TSC. Throws IoctlError (EIO if the host's is not stable). */
  getTscKhz(): number {
    return this.ioctl(ioctls.KVM_GET_TSC_KHZ);
  }

  /**
   * KVM_SET_TSC_KHZ.
   *
   * @param khz 1 to 2^31-1; a frequency other than the host's needs KVM_CAP_TSC_CONTROL
   * @throws ArgumentError; IoctlError (KVM_SET_TSC_KHZ: EINVAL for a frequency that the host cannot give)
   */
  setTscKhz(khz: number): void {
    this.ioctl(ioctls.KVM_SET_TSC_KHZ, checkInteger('khz', khz, 1, 0x7fff_ffff));
  }

  /** KVM_KVMCLOCK_CTRL: tells the guest, by its kvmclock, that it was paused. Throws IoctlError (EINVAL without kvmclock). */
  kvmclockCtrl(): void {
    this.ioctl(ioctls.KVM_KVMCLOCK_CTRL, undefined, 'The guest has not set up a kvmclock (MSR 0x4b564d01).');
  }
}
