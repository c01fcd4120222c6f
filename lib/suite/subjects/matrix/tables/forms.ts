/** The instruction that writes. */
import { forms } from '../forms.ts';
import { flat32, modes } from '../modes.ts';
import type { Axis, StateRow } from '../row.ts';

const row = (form: (typeof forms)[number], name = form.name): StateRow => ({
  name,
  what: `the instruction is ${form.name.replaceAll('-', ' ')}${form.only64 ? ', in 64-bit mode' : ''}`,
  source: 'arch/x86/kvm/emulate.c: the instruction; SDM vol. 2',
  alone: form.byCs ? ['mode', 'control', 'apic-base'] : form.onZero || form.onOnes ? ['previous', 'sequence'] : [],
  apply(scene) {
    if (form.only64 && scene.mode.bits !== 64) scene.mode = scene.mode === flat32 ? modes.long64 : modes.long64User;
    // Another address size than the mode's segments have.
    if (form.wide && scene.mode.small) scene.mode = modes.real16;
    if (form.byCs) scene.mode = modes.realCs;
    scene.form = form;
    if (form.asks) scene.exits.add('KVM_EXIT_MMIO');
  },
});

export const formAxis: Axis = {
  name: 'instruction',
  title: 'instruction writes',
  rows: forms.map((form) => row(form)),
};
