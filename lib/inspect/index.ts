/** Every number and layout of this package's systems beside the kernel's own, and what the running kernel says to each. */
import type { DsmProfile } from '../abi/dsm/profiles.ts';
import { KvmDsmError } from '../base/errors.ts';
import { Kvm } from '../kvm/kvm.ts';
import { AskedKvm } from './asked-kvm.ts';
import { dsmSection, reservedExitsSection } from './dsm.ts';
import type { AbiEntry, AbiSection, Answer } from './section.ts';
import { synicSection } from './synic.ts';
import { vfioSection } from './vfio.ts';
import { vlpiSection } from './vlpi.ts';

export type { Answer, FieldRow } from './section.ts';

/** An entry with its answer. */
export interface AnsweredEntry extends Omit<AbiEntry, 'ask'> {
  answer: Answer;
}

export interface AnsweredSection extends Omit<AbiSection, 'entries'> {
  entries: readonly AnsweredEntry[];
}

/** The sections, in the order in which they are shown. */
function sectionsOf(profile: DsmProfile): AbiSection[] {
  return [dsmSection(profile), reservedExitsSection(), synicSection(), vfioSection(), vlpiSection()];
}

/**
 * The sections, with what the kernel behind the device answers. It is asked by what changes nothing but VMs that are made
 * for it, and never what is known to crash a kernel. A device that cannot be used is no error: nothing is asked then.
 */
export function inspect(device: string, profile: DsmProfile): AnsweredSection[] {
  const kvm = openOr(device, profile);
  try {
    return sectionsOf(profile).map((section) => ({
      ...section,
      entries: section.entries.map(({ ask, ...entry }) => ({ ...entry, answer: answerTo(ask, kvm) })),
    }));
  } finally {
    if (typeof kvm !== 'string') kvm.close();
  }
}

/** The device, or why it cannot be used. */
function openOr(device: string, profile: DsmProfile): Kvm | string {
  try {
    return Kvm.open(device, { profile });
  } catch (error) {
    if (error instanceof KvmDsmError) return error.message;
    throw error;
  }
}

function answerTo(ask: AbiEntry['ask'], kvm: Kvm | string): Answer {
  if (typeof ask === 'string') return { asked: false, why: ask };
  if (typeof kvm === 'string') return { asked: false, why: kvm };
  using asked = new AskedKvm(kvm);
  try {
    return { asked: true, answer: ask(asked) };
  } catch (error) {
    if (error instanceof KvmDsmError) return { asked: false, why: error.message };
    throw error;
  }
}
