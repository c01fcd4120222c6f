/** Registers: general, special, FPU and XSAVE, XCRs, debug; and where a linear address leads. */
import {
  type KvmDebugregs,
  type KvmFpu,
  type KvmRegs,
  type KvmSregs,
  type KvmSregs2,
  type KvmTranslation,
  type KvmXcr,
  kvmDebugregs,
  kvmFpu,
  kvmRegs,
  kvmSregs,
  kvmSregs2,
  kvmTranslation,
  kvmXcr,
  kvmXcrs,
  kvmXsave,
  readRegs,
} from '../../abi/kvm/index.ts';
import { ioctls } from '../../abi/kvm/ioctl.ts';
import { structCheck } from '../../abi/layout.ts';
import { checkBytes, checkObject, checkU64 } from '../../base/check.ts';
import { listOf } from '../../base/shape.ts';
import type { OpenVcpu } from './host.ts';

const wholeSregs = structCheck('setSregs() takes', kvmSregs);
const wholeSregs2 = structCheck('setSregs2() takes', kvmSregs2);
const xcrList = listOf(structCheck('an XCR has', kvmXcr), 16);

/** A vCPU's registers. */
export class Registers {
  readonly #vcpu: OpenVcpu;

  constructor(vcpu: OpenVcpu) {
    this.#vcpu = vcpu;
  }

  getRegs(): KvmRegs {
    this.#vcpu.ask(ioctls.KVM_GET_REGS);
    return readRegs(this.#vcpu.argument);
  }

  getApicBase(): bigint {
    this.#vcpu.ask(ioctls.KVM_GET_SREGS);
    return kvmSregs.fields.apicBase.read(this.#vcpu.argument, 0);
  }

  setRegs(regs: Partial<KvmRegs>): void {
    this.#vcpu.ioctl(ioctls.KVM_SET_REGS, kvmRegs.encode({ ...this.getRegs(), ...checkObject('regs', regs) }));
  }

  getSregs(): KvmSregs {
    return kvmSregs.decode(this.#vcpu.read(ioctls.KVM_GET_SREGS, kvmSregs.size));
  }

  setSregs(sregs: KvmSregs): void {
    this.#vcpu.ioctl(ioctls.KVM_SET_SREGS, kvmSregs.encode(wholeSregs.take(sregs, 'sregs')));
  }

  getSregs2(): KvmSregs2 {
    return kvmSregs2.decode(this.#vcpu.read(ioctls.KVM_GET_SREGS2, kvmSregs2.size));
  }

  setSregs2(sregs: KvmSregs2): void {
    this.#vcpu.ioctl(ioctls.KVM_SET_SREGS2, kvmSregs2.encode(wholeSregs2.take(sregs, 'sregs')));
  }

  getFpu(): KvmFpu {
    return kvmFpu.decode(this.#vcpu.read(ioctls.KVM_GET_FPU, kvmFpu.size));
  }

  setFpu(fpu: Partial<KvmFpu>): void {
    this.#vcpu.ioctl(ioctls.KVM_SET_FPU, kvmFpu.encode({ ...this.getFpu(), ...checkObject('fpu', fpu) }));
  }

  get xsaveSize(): number {
    return Math.max(kvmXsave.size, this.#vcpu.offered('KVM_CAP_XSAVE2'));
  }

  getXsave(): Uint8Array<ArrayBuffer> {
    const request = this.#vcpu.offered('KVM_CAP_XSAVE2') > 0 ? ioctls.KVM_GET_XSAVE2 : ioctls.KVM_GET_XSAVE;
    return this.#vcpu.read(request, this.xsaveSize);
  }

  setXsave(area: Uint8Array): void {
    this.#vcpu.ioctl(ioctls.KVM_SET_XSAVE, checkBytes('area', area, this.xsaveSize, this.xsaveSize).slice());
  }

  getXcrs(): KvmXcr[] {
    const { nrXcrs, xcrs } = kvmXcrs.decode(this.#vcpu.read(ioctls.KVM_GET_XCRS, kvmXcrs.size));
    return xcrs.slice(0, nrXcrs);
  }

  setXcrs(xcrs: readonly KvmXcr[]): void {
    const given = xcrList('xcrs', xcrs);
    this.#vcpu.ioctl(ioctls.KVM_SET_XCRS, kvmXcrs.encode({ nrXcrs: given.length, xcrs: [...given] }));
  }

  getDebugregs(): KvmDebugregs {
    return kvmDebugregs.decode(this.#vcpu.read(ioctls.KVM_GET_DEBUGREGS, kvmDebugregs.size));
  }

  setDebugregs(debugregs: Partial<KvmDebugregs>): void {
    this.#vcpu.ioctl(
      ioctls.KVM_SET_DEBUGREGS,
      kvmDebugregs.encode({ ...this.getDebugregs(), ...checkObject('debugregs', debugregs) }),
    );
  }

  translate(linearAddress: number | bigint): KvmTranslation {
    const argument = kvmTranslation.encode({ linearAddress: checkU64('linearAddress', linearAddress) });
    this.#vcpu.ioctl(ioctls.KVM_TRANSLATE, argument);
    return kvmTranslation.decode(argument);
  }
}
