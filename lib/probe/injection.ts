/** Which of the injection ioctls a kernel knows, found out by asking for each in more than one way. */
import { encodeIcr } from '../abi/apic/icr.ts';
import { lapicRegisters } from '../abi/apic/lapic.ts';
import { IA32_APIC_BASE } from '../abi/apic/msr.ts';
import { checkProfile, type DsmIoctlName, type DsmProfile } from '../abi/dsm/profiles.ts';
import { _IOW } from '../abi/kvm/request-number.ts';
import { checkInstance } from '../base/check.ts';
import { IoctlError } from '../base/errors.ts';
import { Kvm } from '../kvm/kvm.ts';

export const injectionIoctls = ['KVM_DSM_IPI', 'KVM_DSM_X2APIC', 'KVM_DSM_APIC_BASE'] as const satisfies DsmIoctlName[];

/** What a kernel answers to one of them: `0`, or the errno's name. */
export interface InjectionAnswers {
  /** To each question, in order. */
  answers: string[];
  /** Some answer is another than that to a number that nobody has. A kernel may refuse what it is asked for, and knows it. */
  known: boolean;
}

/** An ioctl number of KVM's type that no kernel uses. */
const NOBODYS = _IOW(0xff, 16);
/** To all but the sender, in a VM that has nobody else: it sends nothing. */
const TO_NOBODY = encodeIcr({ vector: 0xfe, shorthand: 'allExcludingSelf' });

/** The arguments that each is asked for: of them nothing is sent, and nothing changes but ICR. */
function questions(profile: DsmProfile, apicBase: bigint): Record<DsmIoctlName, Uint8Array[]> {
  const { KVM_DSM_IPI, KVM_DSM_X2APIC, KVM_DSM_APIC_BASE } = profile.ioctls;
  const ipi = (val: number, val2: number) => KVM_DSM_IPI.argument.encode({ vcpuId: 0, val, val2, destId: 0 });
  const base = (host: boolean) =>
    KVM_DSM_APIC_BASE.argument.encode({ vcpuId: 0, host, index: IA32_APIC_BASE, data: apicBase });
  return {
    KVM_DSM_IPI: [ipi(lapicRegisters.ICR2, 0), ipi(lapicRegisters.ICR, TO_NOBODY)],
    KVM_DSM_X2APIC: [BigInt(TO_NOBODY), 0n].map((data) => KVM_DSM_X2APIC.argument.encode({ vcpuId: 0, data })),
    KVM_DSM_APIC_BASE: [base(true), base(false)],
  };
}

/** What a kernel answers to one of the injection ioctls, on a VM with all that it needs. */
export function askInjection(kvm: Kvm, ioctl: DsmIoctlName, profile: DsmProfile = kvm.profile): InjectionAnswers {
  using vm = kvm.createVm();
  vm.createIrqchip();
  // On Intel KVM_DSM_APIC_BASE writes to the VMCS that was loaded last: asking for the registers loads the vCPU's.
  const { apicBase } = vm.createVcpu(0).getSregs();
  const answerTo = (request: number, argument: Uint8Array): string => {
    try {
      vm.ioctlRaw(request, argument);
      return '0';
    } catch (error) {
      if (error instanceof IoctlError) return error.errnoName;
      throw error;
    }
  };
  const answers = questions(profile, apicBase)[ioctl].map((bytes) => answerTo(profile.ioctls[ioctl].request, bytes));
  const unknown = ['ENOTTY', answerTo(NOBODYS, new Uint8Array(16))];
  return { answers, known: answers.some((answer) => !unknown.includes(answer)) };
}

/**
 * True if this kernel has injection ioctls (patch 3/3): one of the three, found out by asking. It may refuse what it is asked
 * for, and knows it all the same.
 *
 * @throws IoctlError if KVM makes no VM to ask, ArgumentError
 */
export function knowsInjection(kvm: Kvm, profile: DsmProfile = kvm.profile): boolean {
  checkInstance('kvm', kvm, Kvm);
  checkProfile(profile);
  return injectionIoctls.some((ioctl) => askInjection(kvm, ioctl, profile).known);
}
