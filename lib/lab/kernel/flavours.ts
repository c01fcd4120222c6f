/** Kernels of the lab that look at themselves while they run: each is a fragment below kernel/flavours. */
import { join } from 'node:path';
import { type AddedConfig, readConfig } from './config.ts';
import { kernelInputs } from './inputs.ts';

/** A flavour of the lab's kernel, by the name of its fragment. */
export type Flavour = 'kasan' | 'kcsan' | 'lockdep';

/** The flavours there are. */
export const flavourNames: readonly Flavour[] = ['kasan', 'kcsan', 'lockdep'];

/** The symbol that each is there for. */
const symbolOf: Readonly<Record<Flavour, string>> = { kasan: 'KASAN', kcsan: 'KCSAN', lockdep: 'PROVE_LOCKING' };

/** What a flavour adds to the lab's configuration, and the user behind it. */
export function configOfFlavour(flavour: Flavour, given: readonly string[]): AddedConfig {
  const fragment = join(kernelInputs(), 'flavours', `${flavour}.config`);
  return { ...readConfig([fragment, ...given]), needed: [symbolOf[flavour]] };
}
