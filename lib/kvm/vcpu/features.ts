/** What a vCPU can do: its capabilities, its CPUID, its TSC. */
import { type CapabilityName, knownCapability } from '../../abi/kvm/capability.ts';
import { cpuid2Room, decodeCpuid2, type KvmCpuidEntry2 } from '../../abi/kvm/index.ts';
import { ioctls } from '../../abi/kvm/ioctl.ts';
import { checkInteger, checkU64 } from '../../base/check.ts';
import { type Cpuid, MAX_CPUID_ENTRIES, packCpuid } from '../cpuid.ts';
import { type EnabledCap, encodeEnableCap } from '../enable-cap.ts';
import type { OpenVcpu } from './host.ts';

/** A vCPU's capabilities, its CPUID and its TSC. */
export class Features {
  readonly #vcpu: OpenVcpu;
  readonly #enabled: EnabledCap[] = [];

  constructor(vcpu: OpenVcpu) {
    this.#vcpu = vcpu;
  }

  enableCap(cap: CapabilityName | number, args: readonly bigint[] = []): void {
    this.#vcpu.ioctl(ioctls.KVM_ENABLE_CAP, encodeEnableCap(cap, args, this.#vcpu.offered(cap)));
    this.#enabled.push({ cap: knownCapability(cap), args: args.map((arg) => checkU64('args', arg)) });
  }

  get enabledCaps(): readonly EnabledCap[] {
    return this.#enabled;
  }

  getCpuid2(): KvmCpuidEntry2[] {
    const room = cpuid2Room(MAX_CPUID_ENTRIES);
    this.#vcpu.ioctl(ioctls.KVM_GET_CPUID2, room);
    return decodeCpuid2(room);
  }

  setCpuid2(cpuid: Cpuid): void {
    this.#vcpu.ioctl(ioctls.KVM_SET_CPUID2, packCpuid('cpuid', cpuid));
  }

  getTscKhz(): number {
    return this.#vcpu.ioctl(ioctls.KVM_GET_TSC_KHZ);
  }

  setTscKhz(khz: number): void {
    this.#vcpu.ioctl(ioctls.KVM_SET_TSC_KHZ, checkInteger('khz', khz, 1, 0x7fff_ffff));
  }

  kvmclockCtrl(): void {
    this.#vcpu.ioctl(ioctls.KVM_KVMCLOCK_CTRL, undefined, 'The guest has not set up a kvmclock (MSR 0x4b564d01).');
  }
}
