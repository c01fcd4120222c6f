/** MSRs: lists of any length, in as many calls as the kernel needs. */
import { decodeMsrs, encodeMsrs, type KvmMsrEntry, kvmMsrEntry } from '../../abi/kvm/index.ts';
import { ioctls } from '../../abi/kvm/ioctl.ts';
import { structCheck } from '../../abi/layout.ts';
import { checkInteger, checkList } from '../../base/check.ts';
import { listOf } from '../../base/shape.ts';
import { MsrRefusedError } from './errors.ts';
import type { OpenVcpu } from './host.ts';

/** As many as the kernel takes in one call: less than its MAX_IO_MSRS. */
const MSRS_PER_CALL = 255;

const msrList = listOf(structCheck('an MSR takes', kvmMsrEntry));

/** A vCPU's MSRs. */
export class Msrs {
  readonly #vcpu: OpenVcpu;

  constructor(vcpu: OpenVcpu) {
    this.#vcpu = vcpu;
  }

  getMsrs(indices: readonly number[]): bigint[] {
    for (const index of checkList('indices', indices)) checkInteger('index', index, 0, 0xffff_ffff);
    const values: bigint[] = [];
    for (let start = 0; start < indices.length; start += MSRS_PER_CALL) {
      const chunk = indices.slice(start, start + MSRS_PER_CALL);
      const argument = encodeMsrs(chunk.map((index) => ({ index })));
      const done = this.#vcpu.ioctl(ioctls.KVM_GET_MSRS, argument);
      if (done < chunk.length) throw new MsrRefusedError('KVM_GET_MSRS', chunk[done]!, start + done);
      for (const { data } of decodeMsrs(argument)) values.push(data);
    }
    return values;
  }

  getMsr(index: number): bigint {
    return this.getMsrs([index])[0]!;
  }

  setMsrs(msrs: readonly KvmMsrEntry[]): void {
    const given = msrList('msrs', msrs);
    for (let start = 0; start < given.length; start += MSRS_PER_CALL) {
      const chunk = given.slice(start, start + MSRS_PER_CALL);
      const done = this.#vcpu.ioctl(ioctls.KVM_SET_MSRS, encodeMsrs(chunk));
      const refused = chunk[done];
      if (refused) throw new MsrRefusedError('KVM_SET_MSRS', refused.index, start + done, refused.data);
    }
  }

  setMsr(index: number, data: bigint): void {
    this.setMsrs([{ index, data }]);
  }
}
