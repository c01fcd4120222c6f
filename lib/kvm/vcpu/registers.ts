import type { capabilities } from '../../abi/kvm/capability.ts';
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
  kvmXcrs,
  kvmXsave,
} from '../../abi/kvm/index.ts';
import { ioctls } from '../../abi/kvm/ioctl.ts';
import { checkBytes, checkList, checkObject, checkU64 } from '../../base/check.ts';
import { KvmHandle } from '../handle.ts';
import type { NativeVcpu } from '../native.ts';
import type { VcpuHost } from './host.ts';

/** A vCPU's registers. */
export abstract class VcpuRegs extends KvmHandle<NativeVcpu> {
  readonly #host: VcpuHost;

  protected constructor(native: NativeVcpu, what: string, host: VcpuHost) {
    super(native, what);
    this.#host = host;
  }

  /** KVM_CHECK_EXTENSION on the VM. */
  protected offered(cap: keyof typeof capabilities): number {
    return this.#host.checkExtension(cap);
  }

  /** KVM_GET_REGS. */
  getRegs(): KvmRegs {
    return kvmRegs.decode(this.read(ioctls.KVM_GET_REGS, kvmRegs.size));
  }

  /** KVM_SET_REGS: the registers that `regs` names; the others keep their values. */
  setRegs(regs: Partial<KvmRegs>): void {
    this.ioctl(ioctls.KVM_SET_REGS, kvmRegs.encode({ ...this.getRegs(), ...checkObject('regs', regs) }));
  }

  /** KVM_GET_SREGS: segments, descriptor tables, control registers, the APIC base. */
  getSregs(): KvmSregs {
    return kvmSregs.decode(this.read(ioctls.KVM_GET_SREGS, kvmSregs.size));
  }

  /** KVM_SET_SREGS. Throws IoctlError (EINVAL for a state that no CPU can be in). */
  setSregs(sregs: KvmSregs): void {
    this.ioctl(ioctls.KVM_SET_SREGS, kvmSregs.encode(checkObject('sregs', sregs)));
  }

  /** KVM_GET_SREGS2: like KVM_GET_SREGS, with the PDPTRs. Throws IoctlError (ENOTTY before Linux 5.14). */
  getSregs2(): KvmSregs2 {
    return kvmSregs2.decode(this.read(ioctls.KVM_GET_SREGS2, kvmSregs2.size));
  }

  /** KVM_SET_SREGS2. Throws IoctlError (EINVAL for a state that no CPU can be in, or a flag that is not known). */
  setSregs2(sregs: KvmSregs2): void {
    this.ioctl(ioctls.KVM_SET_SREGS2, kvmSregs2.encode(checkObject('sregs', sregs)));
  }

  /** KVM_GET_FPU: the x87 and SSE registers, without MXCSR: KVM leaves `mxcsr` 0. It is in the XSAVE area (byte 24). */
  getFpu(): KvmFpu {
    return kvmFpu.decode(this.read(ioctls.KVM_GET_FPU, kvmFpu.size));
  }

  /**
   * KVM_SET_FPU: the registers that `fpu` names; the others keep their values. KVM ignores `mxcsr`; and while the XSAVE
   * header (XSTATE_BV, bits 0 and 1) calls x87 and SSE unused, as after reset, it keeps their initial values:
   * `setXsave` has neither gap.
   */
  setFpu(fpu: Partial<KvmFpu>): void {
    this.ioctl(ioctls.KVM_SET_FPU, kvmFpu.encode({ ...this.getFpu(), ...checkObject('fpu', fpu) }));
  }

  /** Bytes of the XSAVE area of a vCPU of this VM: KVM_CAP_XSAVE2's answer, 4096 at least. */
  get xsaveSize(): number {
    return Math.max(kvmXsave.size, this.offered('KVM_CAP_XSAVE2'));
  }

  /**
   * KVM_GET_XSAVE2, or KVM_GET_XSAVE on kernels without it: the XSAVE area, `xsaveSize` bytes in the standard format of
   * the XSAVE instruction (Intel SDM volume 1, chapter 13).
   */
  getXsave(): Uint8Array<ArrayBuffer> {
    const request = this.offered('KVM_CAP_XSAVE2') > 0 ? ioctls.KVM_GET_XSAVE2 : ioctls.KVM_GET_XSAVE;
    return this.read(request, this.xsaveSize);
  }

  /** KVM_SET_XSAVE. Throws ArgumentError unless it has `xsaveSize` bytes; IoctlError (EINVAL for a header that is not valid). */
  setXsave(area: Uint8Array): void {
    this.ioctl(ioctls.KVM_SET_XSAVE, checkBytes('area', area, this.xsaveSize, this.xsaveSize).slice());
  }

  /** KVM_GET_XCRS: extended control registers; `xcr` 0 is XCR0. */
  getXcrs(): KvmXcr[] {
    const { nrXcrs, xcrs } = kvmXcrs.decode(this.read(ioctls.KVM_GET_XCRS, kvmXcrs.size));
    return xcrs.slice(0, nrXcrs);
  }

  /** KVM_SET_XCRS: at most 16. Throws IoctlError (EINVAL for a value that the vCPU's CPUID does not allow). */
  setXcrs(xcrs: readonly KvmXcr[]): void {
    checkList('xcrs', xcrs, 16);
    this.ioctl(ioctls.KVM_SET_XCRS, kvmXcrs.encode({ nrXcrs: xcrs.length, xcrs: [...xcrs] }));
  }

  /** KVM_GET_DEBUGREGS: the guest's own DR0..DR3, DR6 and DR7. */
  getDebugregs(): KvmDebugregs {
    return kvmDebugregs.decode(this.read(ioctls.KVM_GET_DEBUGREGS, kvmDebugregs.size));
  }

  /** KVM_SET_DEBUGREGS: those that `debugregs` names; the others keep their values. Throws IoctlError (EINVAL). */
  setDebugregs(debugregs: Partial<KvmDebugregs>): void {
    this.ioctl(
      ioctls.KVM_SET_DEBUGREGS,
      kvmDebugregs.encode({ ...this.getDebugregs(), ...checkObject('debugregs', debugregs) }),
    );
  }

  /**
   * KVM_TRANSLATE: where a linear address of the guest leads by its page tables now. `writeable` and `usermode` say
   * nothing: KVM fills them with constants.
   *
   * @returns `valid` 0 if no page is there
   */
  translate(linearAddress: number | bigint): KvmTranslation {
    const argument = kvmTranslation.encode({ linearAddress: checkU64('linearAddress', linearAddress) });
    this.ioctl(ioctls.KVM_TRANSLATE, argument);
    return kvmTranslation.decode(argument);
  }
}
