// Which cases are meant.
import type { Case } from './cases/case.ts';
import { cases } from './cases/index.ts';

/**
 * Those of these names, in the order of the list; all of them if there is no name.
 *
 * @param others what could have been named besides, for the error
 */
export function chooseCases(
  names: readonly string[],
  possible: readonly Case[] = cases,
  others: readonly string[] = [],
): readonly Case[] {
  for (const name of names)
    if (!possible.some((one) => one.name === name))
      throw new Error(`no case ${name}; there are ${[...possible.map((one) => one.name), ...others].join(', ')}`);
  return possible.filter(({ name }) => names.length === 0 || names.includes(name));
}
