/** Commands that show a finding again, each on its own. */
import { homedir } from 'node:os';
import { defaultProfile } from '../../abi/dsm/profiles.ts';
import { shellWord } from '../../base/shell.ts';
import type { LaneName } from '../../lab/index.ts';
import type { Review } from '../found.ts';
import type { Judged } from '../suite.ts';

type Reviewed = Pick<Review, 'profile' | 'child'>;

/** A command on the kernel with the series. */
export function commandOn(
  { profile, child }: Reviewed,
  lane: LaneName,
  words: readonly string[],
  flags: readonly string[] = [],
): string {
  const own = profile === '' || profile === defaultProfile.name ? [] : ['--profile', profile];
  return ['npx kvm-dsm', ...words, '--on', lane, ...flags, ...own, '--kernel', short(child.kernel!.image)].join(' ');
}

/** One check as the review ran it: known shortfalls are failures. */
export function checkAgain(review: Reviewed, lane: LaneName, { id, destructive }: Judged): string {
  const flags = ['--strict', '--seed', '1', ...(destructive ? ['--destructive'] : [])];
  return commandOn(review, lane, ['test', id], flags);
}

/** As a shell takes it; home is `~`, which is the same for whoever reads it. */
function short(path: string): string {
  const home = homedir();
  const word = shellWord(path);
  return word.startsWith(`${home}/`) ? `~${word.slice(home.length)}` : word;
}
