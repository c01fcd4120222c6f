/** Exits whose payload is left as it is: those of other architectures, and numbers that nobody knows. */
import type { ExitReasonName } from '../abi/kvm/exit-reason.ts';
import { copyUnion } from '../abi/kvm/kvm-run.ts';
import { type Kind, type Kinds, type Named, rawField, type WithRaw } from './family.ts';
import { rawWords } from './words.ts';

/** The kernel's names of exits of other architectures: arm64, LoongArch, PowerPC, RISC-V, s390. */
export type ForeignExitName =
  | 'KVM_EXIT_S390_SIEIC'
  | 'KVM_EXIT_S390_RESET'
  | 'KVM_EXIT_DCR'
  | 'KVM_EXIT_OSI'
  | 'KVM_EXIT_PAPR_HCALL'
  | 'KVM_EXIT_S390_UCONTROL'
  | 'KVM_EXIT_WATCHDOG'
  | 'KVM_EXIT_S390_TSCH'
  | 'KVM_EXIT_EPR'
  | 'KVM_EXIT_S390_STSI'
  | 'KVM_EXIT_ARM_NISV'
  | 'KVM_EXIT_RISCV_SBI'
  | 'KVM_EXIT_RISCV_CSR'
  | 'KVM_EXIT_LOONGARCH_IOCSR'
  | 'KVM_EXIT_ARM_SEA'
  | 'KVM_EXIT_ARM_LDST64B';

/** An exit of another architecture. x86 makes none: it is here so that every number of the kernel's header has a name. */
export type ForeignExit = { [N in ForeignExitName]: Named<N> & WithRaw }[ForeignExitName];

const names = [
  'KVM_EXIT_S390_SIEIC',
  'KVM_EXIT_S390_RESET',
  'KVM_EXIT_DCR',
  'KVM_EXIT_OSI',
  'KVM_EXIT_PAPR_HCALL',
  'KVM_EXIT_S390_UCONTROL',
  'KVM_EXIT_WATCHDOG',
  'KVM_EXIT_S390_TSCH',
  'KVM_EXIT_EPR',
  'KVM_EXIT_S390_STSI',
  'KVM_EXIT_ARM_NISV',
  'KVM_EXIT_RISCV_SBI',
  'KVM_EXIT_RISCV_CSR',
  'KVM_EXIT_LOONGARCH_IOCSR',
  'KVM_EXIT_ARM_SEA',
  'KVM_EXIT_ARM_LDST64B',
] as const satisfies readonly (ExitReasonName & ForeignExitName)[];

/** An exit reason that neither the kernel's header nor the profile has. Not KVM_EXIT_UNKNOWN, which is number 0. */
export interface UnrecognizedExit extends Named<'unrecognized'>, WithRaw {}

const foreign = <N extends ForeignExit['name']>(name: N): Kind<ForeignExit> => ({
  fields: { raw: rawField },
  decode: (view, reason) => ({ name, reason, raw: copyUnion(view) }),
  text: ({ raw }) => rawWords(raw),
  goesOnByItself: true,
});

export const foreignExits = Object.fromEntries(names.map((name) => [name, foreign(name)])) as Kinds<ForeignExit>;

export const unrecognized: Kind<UnrecognizedExit> = {
  fields: { raw: rawField },
  decode: (view, reason) => ({ name: 'unrecognized', reason, raw: copyUnion(view) }),
  text: ({ reason, raw }) => `reason ${reason}, ${rawWords(raw)}`,
  goesOnByItself: true,
};
