import { type CapabilityName, capabilityNumber } from '../../abi/kvm/capability.ts';
import { ioctls } from '../../abi/kvm/ioctl.ts';
import { checkInteger, checkU64 } from '../../base/check.ts';
import { type EnabledCap, encodeEnableCap } from '../enable-cap.ts';
import type { VmCalls } from './host.ts';

/** What a VM can do, and what of it was enabled. */
export class Capabilities {
  readonly #calls: VmCalls;
  readonly #enabled: EnabledCap[] = [];
  readonly #onEnabled: (cap: CapabilityName | number) => void;

  /** @param onEnabled hears of each capability that the kernel has enabled */
  constructor(calls: VmCalls, onEnabled: (cap: CapabilityName | number) => void) {
    this.#calls = calls;
    this.#onEnabled = onEnabled;
  }

  check(cap: CapabilityName | number): number {
    return this.#calls.ioctl(ioctls.KVM_CHECK_EXTENSION, capabilityNumber(cap));
  }

  enable(cap: CapabilityName | number, args: readonly bigint[]): void {
    this.#calls.ioctl(ioctls.KVM_ENABLE_CAP, encodeEnableCap(cap, args, this.check(cap)));
    this.#enabled.push({ cap, args: args.map((arg) => checkU64('args', arg)) });
    this.#onEnabled(cap);
  }

  get enabled(): readonly EnabledCap[] {
    return this.#enabled;
  }

  enableSplitIrqchip(gsis: number): void {
    this.enable('KVM_CAP_SPLIT_IRQCHIP', [BigInt(checkInteger('gsis', gsis, 0, 4096))]);
  }

  enableUserSpaceMsr(reasons: number): void {
    this.enable('KVM_CAP_X86_USER_SPACE_MSR', [BigInt(checkInteger('reasons', reasons, 0, 7))]);
  }

  enableX2apicApi(flags: number): void {
    this.enable('KVM_CAP_X2APIC_API', [BigInt(checkInteger('flags', flags, 0, 0xffff_ffff))]);
  }
}
