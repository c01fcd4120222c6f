/** What asking for opinions throws. */
import { PlainError } from '../../base/errors.ts';

/** A machine did not tell what the guest of the opinions has to tell. */
export class ExploreTextError extends PlainError {
  readonly code = 'ERR_EXPLORE_TEXT';
  override readonly exitCode = 1;

  /** @param who the machine, in words @param lines the last that it wrote */
  constructor(who: string, what: string, lines: readonly string[]) {
    super([`${who}: ${what}`, ...lines.map((line) => `  | ${line}`)].join('\n'), {
      advice: 'Another --seed may do without it; the lines above are where it stopped.',
    });
  }
}
