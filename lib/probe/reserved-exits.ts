/** The exits that the series reserves: which this kernel makes, and how they are switched on. */
import type { CommonDsmExits } from '../abi/dsm/profiles.ts';
import { checkChoice, checkList } from '../base/check.ts';
import { isParameterOn, switchOn } from '../host/module-parameter.ts';

/** The exits that the series reserves and never makes. */
export type ReservedExitName = Exclude<keyof CommonDsmExits, 'KVM_EXIT_DSM_SEND_IRQ'>;

/**
 * Parameters of the kvm module of a kernel with CONFIG_KVM_DSM_EXIT, the lab kernel's extension of the series: each makes
 * an exit that the series reserves happen, in the VMs that are created while it is on.
 * Source: kernel/rfc-v2/arch/x86/kvm/dsm_exit.c.
 */
export const reservedExitParameters: Readonly<Record<ReservedExitName, string>> = {
  KVM_EXIT_DAPIC: 'dsm_exit_dapic',
  KVM_EXIT_DSM_X2_ICR: 'dsm_exit_x2_icr',
  KVM_EXIT_DSM_APIC_BASE: 'dsm_exit_apic_base',
};

const names = Object.keys(reservedExitParameters) as ReservedExitName[];

const PARAMETERS = '/sys/module/kvm/parameters';

/** Which of the reserved exits this kernel makes now; `null` for a kernel without the extension. */
export function reservedExits(directory = PARAMETERS): Record<ReservedExitName, boolean> | null {
  try {
    const states = names.map((name) => [name, isParameterOn(pathOf(name, directory))] as const);
    return Object.fromEntries(states) as Record<ReservedExitName, boolean>;
  } catch {
    return null;
  }
}

/**
 * Switches reserved exits on for the VMs that are created from now on, all over this machine; the disposable puts the
 * parameters back. VMs that are there keep what they have, so that it is enough to create one in between:
 *
 *     { using _ = enableReservedExits(['KVM_EXIT_DSM_X2_ICR']); m = await machine(); }
 *
 * @throws UnsupportedError on a kernel without the extension, or if the parameters may not be written; ArgumentError
 */
export function enableReservedExits(which: readonly ReservedExitName[] = names, directory = PARAMETERS): Disposable {
  return switchOn(
    checkList('which', which).map((name) => ({
      path: pathOf(checkChoice('which', name, names), directory),
      name: `kvm.${reservedExitParameters[name]}`,
      what: name,
    })),
  );
}

const pathOf = (name: ReservedExitName, directory: string) => `${directory}/${reservedExitParameters[name]}`;
