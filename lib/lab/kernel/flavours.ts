/** Kernels of the lab that look at themselves while they run: each is a fragment below kernel/flavours. */
import { join } from 'node:path';
import { type AddedConfig, readConfig } from './config.ts';
import { kernelInputs } from './inputs.ts';

/** A flavour of the lab's kernel, by the name of its fragment. */
export type Flavour = 'kasan' | 'kcsan' | 'lockdep' | 'gcov';

/** The flavours there are. */
export const flavourNames: readonly Flavour[] = ['gcov', 'kasan', 'kcsan', 'lockdep'];

/** What a flavour is beside its fragment. */
interface FlavourBuild {
  /** The symbol that it is there for. */
  symbol: string;
  /** Words for make. */
  make?: readonly string[];
  /** What the compiler notes of KVM's lines is kept. */
  notes?: true;
}

const builds: Readonly<Record<Flavour, FlavourBuild>> = {
  kasan: { symbol: 'KASAN' },
  // The rest of Linux has races that are known and left alone, some of them at each boot: only KVM's own files are looked at.
  kcsan: { symbol: 'KCSAN', make: ['KCSAN_SANITIZE=$(if $(filter arch/x86/kvm,$(obj)),y,n)'] },
  lockdep: { symbol: 'PROVE_LOCKING' },
  // KVM's own files alone: counting costs time.
  gcov: { symbol: 'GCOV_KERNEL', make: ['GCOV_PROFILE=$(if $(filter arch/x86/kvm,$(obj)),y)'], notes: true },
};

/** What a flavour adds to the lab's configuration, and the user behind it. */
export function configOfFlavour(flavour: Flavour, given: readonly string[]): AddedConfig {
  const fragment = join(kernelInputs(), 'flavours', `${flavour}.config`);
  const { symbol, make = [], notes = false } = builds[flavour];
  return { ...readConfig([fragment, ...given]), needed: [symbol], make, notes };
}
