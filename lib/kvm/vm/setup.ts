/** KVM_SET_TSS_ADDR, KVM_SET_IDENTITY_MAP_ADDR, KVM_SET_BOOT_CPU_ID. */
import { ioctls } from '../../abi/kvm/ioctl.ts';
import { checkInteger, checkU64 } from '../../base/check.ts';
import type { VmCalls } from './host.ts';

/** How a VM was set up, beside memory, interrupt controllers and vCPUs: `null` where nobody said. */
export interface VmSetup {
  /** Guest physical address of the three pages of KVM_SET_TSS_ADDR; null: not set. */
  tssAddr: number | null;
  /** Guest physical address of the page of KVM_SET_IDENTITY_MAP_ADDR; null: not set, which is 0xfffbc000. */
  identityMapAddr: bigint | null;
  /** The vcpu_id that starts by itself (KVM_SET_BOOT_CPU_ID); null: not set, which is 0. */
  bootCpuId: number | null;
}

const FIRST = 'Call it before the first createVcpu().';

/** What is set once, before a VM's first vCPU; the kernel cannot be asked for it. */
export class Setup {
  readonly #calls: VmCalls;
  #tssAddr: number | null = null;
  #identityMapAddr: bigint | null = null;
  #bootCpuId: number | null = null;

  constructor(calls: VmCalls) {
    this.#calls = calls;
  }

  setTssAddr(guestPhysAddr: number): void {
    checkInteger('guestPhysAddr', guestPhysAddr, 0, 0xffff_ffff);
    this.#calls.ioctl(ioctls.KVM_SET_TSS_ADDR, guestPhysAddr);
    this.#tssAddr = guestPhysAddr;
  }

  setIdentityMapAddr(guestPhysAddr: number | bigint): void {
    const address = checkU64('guestPhysAddr', guestPhysAddr);
    const argument = new Uint8Array(8);
    new DataView(argument.buffer).setBigUint64(0, address, true);
    this.#calls.ioctl(ioctls.KVM_SET_IDENTITY_MAP_ADDR, argument, FIRST);
    this.#identityMapAddr = address;
  }

  setBootCpuId(vcpuId: number): void {
    checkInteger('vcpuId', vcpuId, 0, 0xffff_ffff);
    this.#calls.ioctl(ioctls.KVM_SET_BOOT_CPU_ID, vcpuId, FIRST);
    this.#bootCpuId = vcpuId;
  }

  get state(): VmSetup {
    return { tssAddr: this.#tssAddr, identityMapAddr: this.#identityMapAddr, bootCpuId: this.#bootCpuId };
  }
}
