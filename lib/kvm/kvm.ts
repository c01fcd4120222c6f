/** /dev/kvm. */
import { type DsmProfile, defaultProfile, profileCheck } from '../abi/dsm/profiles.ts';
import { type capabilities, capabilityNumber } from '../abi/kvm/capability.ts';
import { cpuid2Room, decodeCpuid2, decodeMsrList, encodeMsrList, type KvmCpuidEntry2 } from '../abi/kvm/index.ts';
import { ioctls } from '../abi/kvm/ioctl.ts';
import { RunBudget } from '../base/budget.ts';
import { checkInteger, checkText } from '../base/check.ts';
import { IoctlError, UnsupportedError } from '../base/errors.ts';
import { listOf, optional, shape, text } from '../base/shape.ts';
import { MAX_CPUID_ENTRIES } from './cpuid.ts';
import { type DeviceAttr, handleGetAttr, handleHasAttr } from './device.ts';
import { DeviceMissingError, DevicePermissionError, NotKvmError } from './errors.ts';
import { KvmHandle } from './handle.ts';
import { type NativeSystem, openSystem, translated } from './native.ts';
import { optIn, optInBits } from './vm/opt-in.ts';
import { Vm } from './vm/vm.ts';

/** What every kernel since 2.6.22 answers; its documentation says that it will stay so. */
const KVM_API_VERSION = 12;

/** Several times what any kernel's MSR lists have. */
const MAX_MSRS = 4096;

const openOptions = shape<{ profile?: DsmProfile }>('Kvm.open() takes', { profile: optional(profileCheck) });

const vmOptions = shape<{ optIn?: readonly string[] }>('createVm() takes', { optIn: optional(listOf(text)) });

/** Where KVM's device is on nearly every machine. */
export const KVM_DEVICE = '/dev/kvm';

/** The open KVM device: what the kernel's KVM can do, and where virtual machines come from. */
export class Kvm extends KvmHandle<NativeSystem> {
  /** The path that it was opened by. */
  readonly device: string;
  /** Whose exits and ioctls its VMs mean. */
  readonly profile: DsmProfile;
  /** What its VMs' guests may take of this program's time: `kvm-dsm --timeout`. */
  readonly #budget = RunBudget.current;

  private constructor(native: NativeSystem, device: string, profile: DsmProfile) {
    super(native, `the KVM device ${device}`);
    this.device = device;
    this.profile = profile;
  }

  /**
   * Opens the device and checks that it is KVM.
   *
   * @param options.profile the version of the series that this kernel speaks: its VMs and vCPUs decode by it. Default rfc-v2
   * @throws DeviceMissingError, DevicePermissionError, NotKvmError; IoctlError (open) for other errnos
   */
  static open(device: string = KVM_DEVICE, options: { profile?: DsmProfile } = {}): Kvm {
    checkText('device', device);
    const { profile = defaultProfile } = openOptions.take(options);
    let native: NativeSystem;
    try {
      native = openSystem(device);
    } catch (error) {
      if (!(error instanceof IoctlError)) throw error;
      if (['ENOENT', 'ENODEV', 'ENXIO', 'ENOTDIR'].includes(error.errnoName))
        throw new DeviceMissingError(device, error);
      if (['EACCES', 'EPERM'].includes(error.errnoName)) throw new DevicePermissionError(device, error);
      if (error.errnoName === 'EISDIR') throw new NotKvmError(device, error);
      throw error;
    }
    const kvm = new Kvm(native, device, profile);
    try {
      const version = kvm.#apiVersion();
      if (version !== KVM_API_VERSION) throw new NotKvmError(device, version);
    } catch (error) {
      kvm.close();
      throw error;
    }
    return kvm;
  }

  #apiVersion(): number {
    try {
      return this.ioctl(ioctls.KVM_GET_API_VERSION);
    } catch (error) {
      if (error instanceof IoctlError) throw new NotKvmError(this.device, error);
      throw error;
    }
  }

  /** KVM_GET_API_VERSION: 12. */
  get apiVersion(): number {
    return this.#apiVersion();
  }

  /** KVM_CHECK_EXTENSION: 0 if the kernel lacks the capability, else 1 or a value that the capability defines. */
  checkExtension(cap: keyof typeof capabilities | number): number {
    return this.ioctl(ioctls.KVM_CHECK_EXTENSION, capabilityNumber(cap));
  }

  /** KVM_GET_SUPPORTED_CPUID: every CPUID leaf that this host's KVM can give a guest. For `vcpu.setCpuid2()`. */
  supportedCpuid(): KvmCpuidEntry2[] {
    return this.#cpuid(ioctls.KVM_GET_SUPPORTED_CPUID);
  }

  /** KVM_GET_EMULATED_CPUID: leaves whose features KVM emulates though the host's CPU lacks them. */
  emulatedCpuid(): KvmCpuidEntry2[] {
    return this.#cpuid(ioctls.KVM_GET_EMULATED_CPUID);
  }

  /**
   * KVM_GET_SUPPORTED_HV_CPUID: the leaves from 0x40000000 on by which a guest finds Hyper-V's interface; `hypervCpuid`
   * puts them in the place of KVM's.
   *
   * @throws UnsupportedError (KVM_CAP_SYS_HYPERV_CPUID, which needs CONFIG_KVM_HYPERV)
   */
  supportedHvCpuid(): KvmCpuidEntry2[] {
    if (this.checkExtension('KVM_CAP_SYS_HYPERV_CPUID') === 0)
      throw new UnsupportedError('KVM_CAP_SYS_HYPERV_CPUID', "Hyper-V's CPUID", 'CONFIG_KVM_HYPERV');
    return this.#cpuid(ioctls.KVM_GET_SUPPORTED_HV_CPUID);
  }

  #cpuid(request: number): KvmCpuidEntry2[] {
    const room = cpuid2Room(MAX_CPUID_ENTRIES);
    this.ioctl(request, room);
    return decodeCpuid2(room);
  }

  /** KVM_GET_MSR_INDEX_LIST: the MSRs that make up a vCPU's state. Which of them a vCPU has depends on its CPUID too. */
  msrIndexList(): number[] {
    return this.#msrList(ioctls.KVM_GET_MSR_INDEX_LIST);
  }

  /** KVM_GET_MSR_FEATURE_INDEX_LIST: the MSRs that say what KVM can do. */
  msrFeatureIndexList(): number[] {
    return this.#msrList(ioctls.KVM_GET_MSR_FEATURE_INDEX_LIST);
  }

  #msrList(request: number): number[] {
    const room = encodeMsrList(MAX_MSRS);
    this.ioctl(request, room);
    return decodeMsrList(room);
  }

  /** KVM_HAS_DEVICE_ATTR on the KVM device: x86 has group 0, attribute 0 (KVM_X86_XCOMP_GUEST_SUPP), a u64. */
  hasDeviceAttr(which: DeviceAttr): boolean {
    return handleHasAttr(this.native, which);
  }

  /** KVM_GET_DEVICE_ATTR on the KVM device: `size` bytes. Throws IoctlError (ENXIO without such an attribute). */
  getDeviceAttr(which: DeviceAttr, size: number): Uint8Array {
    return handleGetAttr(this.native, which, size);
  }

  /**
   * KVM_CREATE_VM. A new VM has no memory, no vCPU and no irqchip. Where the profile has an opt-in (fixed-v1), the VM asks
   * for the exits at once.
   *
   * @param type a KVM_X86_*_VM value; 0 is an ordinary VM
   * @param options.optIn what of the profile's opt-in: names of its bits, and none for a VM that makes no exits. Default:
   *   the usual ones (`ICR` and `PV` of fixed-v1), as far as the kernel offers them
   * @throws IoctlError (KVM_CREATE_VM: ENOMEM, EMFILE, EINVAL for an unknown type); ArgumentError for a bit that the profile
   *   does not have; UnsupportedError for one that was asked for by name and the kernel does not offer
   */
  createVm(type = 0, options: { optIn?: readonly string[] } = {}): Vm {
    checkInteger('type', type, 0, Number.MAX_SAFE_INTEGER);
    const { optIn: which } = vmOptions.take(options);
    const bits = optInBits(this.profile, which);
    const native = this.native;
    const vm = new Vm(
      translated(() => native.createVm(type)),
      { profile: this.profile, budget: this.#budget },
    );
    try {
      optIn(vm, bits, which !== undefined);
    } catch (error) {
      vm.close();
      throw error;
    }
    return vm;
  }
}
