/** The mode of the vCPU that writes. */
import type { Need } from '../../../kit/needs.ts';
import type { Mode } from '../modes.ts';
import { modes } from '../modes.ts';
import type { Axis, StateRow } from '../row.ts';

const row = (name: string, mode: Mode, what: string, needs?: readonly Need[]): StateRow => ({
  name,
  what: `the vCPU is in ${what}`,
  source: 'struct kvm_vcpu_arch: cr0, cr4, efer; is_long_mode(), is_paging(), CPL',
  ...(needs ? { needs } : {}),
  apply(scene) {
    scene.mode = mode;
  },
});

export const modeAxis: Axis = {
  name: 'mode',
  title: 'the mode of the vCPU that writes is',
  rows: [
    row('real16', modes.real16, 'real mode'),
    row('real16-cs', modes.realCs, 'real mode, with a selector of CS that says nothing of its base'),
    row('protected16', modes.protected16, '16-bit protected mode'),
    row('user32', modes.user32, '32-bit protected mode, privilege level 3'),
    row('paged32', modes.paged32, '32-bit paging'),
    row('paged32-user', modes.paged32User, '32-bit paging, privilege level 3'),
    row('pae32', modes.pae32, 'PAE paging'),
    row('pae32-user', modes.pae32User, 'PAE paging, privilege level 3'),
    row('long64', modes.long64, '64-bit mode'),
    row('long64-user', modes.long64User, '64-bit mode, privilege level 3'),
    row('long64-high', modes.long64High, '64-bit mode, with code far up'),
    row('compat32', modes.compat32, 'compatibility mode'),
    row('compat32-user', modes.compat32User, 'compatibility mode, privilege level 3'),
    row('virtual8086', modes.virtual8086, 'virtual-8086 mode'),
  ],
};
