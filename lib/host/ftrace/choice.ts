/** Which of the kernel's events are wanted: words of a list, and what of a kernel they name. */

import { unknownEvent } from './errors.ts';

/** What concerns an interrupt on its way, and the guest's ways in and out. A kernel may lack some. */
const INTERRUPTS = [
  'kvm_apic',
  'kvm_apic_ipi',
  'kvm_apic_accept_irq',
  'kvm_eoi',
  'kvm_pv_eoi',
  'kvm_inj_virq',
  'kvm_inj_exception',
  'kvm_nmi_inj*',
  'kvm_msi_set_irq',
  'kvm_set_irq',
  'kvm_ioapic_set_irq',
  'kvm_ack_irq',
  'kvm_avic_*',
  'kvm_pi_irte_update',
  'kvm_vcpu_wakeup',
  'kvm_entry',
  'kvm_exit',
  'kvm_userspace_exit',
];

/** The word for those. */
export const INTERRUPTS_WORD = 'interrupts';

/** A probe that is to be set: `p:name symbol`, and what it shall fetch. */
export interface WantedProbe {
  readonly name: string;
  /** The symbol, and what stands behind it. */
  readonly rest: string;
}

export interface EventChoice {
  /** Globs of `system:event`, and the word that each came of. */
  readonly globs: readonly { readonly word: string; readonly glob: string }[];
  readonly probes: readonly WantedProbe[];
}

const isEverything = (word: string) => /^\*+:\*+$/.test(word);

/** Why a word that `chooseEvents` gives back cannot be had. */
export const whyRefused = (word: string): string =>
  isEverything(word) ? 'names every event there is: to read them makes more of them for ever' : 'names no event';

/** @returns the word that cannot be had, if there is one: `whyRefused` */
export function chooseEvents(words: readonly string[]): EventChoice | string {
  const globs: { word: string; glob: string }[] = [];
  const probes: WantedProbe[] = [];
  for (const word of words) {
    const [, name, rest] = /^p:([A-Za-z_]\w*)\s+([^\n;]+)$/.exec(word) ?? [];
    if (name !== undefined) probes.push({ name, rest: rest!.trim() });
    else if (word === INTERRUPTS_WORD) globs.push(...INTERRUPTS.map((event) => ({ word, glob: `kvm:${event}` })));
    else if (isEverything(word)) return word;
    else if (/^[\w*?]+(?::[\w*?]+)?$/.test(word)) globs.push({ word, glob: word.includes(':') ? word : `kvm:${word}` });
    else return word;
  }
  return { globs, probes };
}

/** The same of words that were looked at already. */
export function eventsOf(words: readonly string[]): EventChoice {
  const choice = chooseEvents(words);
  if (typeof choice === 'string') throw unknownEvent(choice, `it ${whyRefused(choice)}`);
  return choice;
}

/** The names that a glob has among others: `*` any characters, `?` one. */
export function matching(glob: string, names: readonly string[]): string[] {
  const pattern = new RegExp(`^${glob.replaceAll('*', '.*').replaceAll('?', '.')}$`);
  return names.filter((name) => pattern.test(name));
}
