/** The KVM that the entries of a section ask, and how its answers are read. */
import { type CapabilityName, capabilityNumber } from '../abi/kvm/capability.ts';
import { IoctlError } from '../base/errors.ts';
import type { Kvm } from '../kvm/kvm.ts';
import type { Vm } from '../kvm/vm/vm.ts';

/** The open device, and VMs that are made for a question. */
export class AskedKvm implements Disposable {
  readonly kvm: Kvm;
  readonly #vms: Vm[] = [];

  constructor(kvm: Kvm) {
    this.kvm = kvm;
  }

  /** A new VM with all interrupt controllers in the kernel and one vCPU, 0: the injection ioctls need no less. */
  vm(): Vm {
    const vm = this.kvm.createVm();
    this.#vms.push(vm);
    vm.createIrqchip();
    vm.createVcpu(0);
    return vm;
  }

  [Symbol.dispose](): void {
    for (const vm of this.#vms.splice(0)) vm.close();
  }
}

/** What an ioctl answers: `0` or another number, or the errno's name. */
export function answerOf(ioctl: () => unknown): string {
  try {
    const value = ioctl();
    return typeof value === 'number' ? String(value) : '0';
  } catch (error) {
    if (error instanceof IoctlError) return error.errnoName;
    throw error;
  }
}

/** A capability's number, and the question for it. */
export function capabilityEntry(name: CapabilityName) {
  const number = capabilityNumber(name);
  return {
    kind: 'capability',
    name,
    number,
    source: 'include/uapi/linux/kvm.h',
    ask: ({ kvm }: AskedKvm) => {
      const value = kvm.checkExtension(number);
      return value > 0 ? `${value}: offered` : '0: not offered';
    },
  } as const;
}
