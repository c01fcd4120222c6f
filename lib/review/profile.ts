/** Whose numbers a series speaks, by the names and numbers that its <linux/kvm.h> has. */
import { KVM_CAP_X86_DSM } from '../abi/dsm/gvm-main.ts';
import { defaultProfile, profiles } from '../abi/dsm/profiles.ts';

/** The profile whose capability the header has, else the one whose exit of a forwarded write has its number. */
export function profileOf(header: string): string {
  const numbers = new Map(
    [...header.matchAll(/^#\s*define\s+(KVM_\w+)\s+(0x[0-9a-fA-F]+|\d+)\b/gm)].map(([, name, value]) => [
      name!,
      Number(value),
    ]),
  );
  const all = [...profiles.values()];
  const asked = all.find(({ optIn }) => optIn && numbers.has(optIn.name));
  if (asked) return asked.name;
  if (numbers.get('KVM_CAP_X86_DSM') === KVM_CAP_X86_DSM) return 'gvm-main';
  const reason = numbers.get('KVM_EXIT_DSM_SEND_IRQ');
  return all.find(({ exits }) => exits.KVM_EXIT_DSM_SEND_IRQ.reason === reason)?.name ?? defaultProfile.name;
}
