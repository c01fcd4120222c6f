/** The rows of a report of several variants of a lane. */
import { ArgumentError } from '../../base/errors.ts';
import type { Executor } from '../../suite/run/protocol.ts';
import type { RowName } from '../../suite/run/reporter.ts';
import type { RunPlanOptions } from '../../suite/run/run.ts';
import { ON_LANES } from '../../target/lanes.ts';
import type { GlobalOptions } from '../../target/options.ts';
import type { Target } from '../../target/target.ts';

/** The lane as it is. */
const asItIs: RowName = { name: 'default', cmdline: '' };

/**
 * What `--variant` names, in the order in which it is named; `all` is every row that the lane has.
 *
 * @throws ArgumentError for the host, which the suite cannot boot, and for a name that the lane has not
 */
export async function rowsOf(target: Target, names: readonly string[]): Promise<RowName[]> {
  if (names.length === 0) return [];
  if (target === 'host')
    throw new ArgumentError('--variant', '--variant is for the lab, not for the host', `Add ${ON_LANES}.`);
  // Inside a lab there is no lab.
  const { laneNamed } = await import('../../lab/index.ts');
  const known = [asItIs, ...laneNamed(target).variants];
  if (names.includes('all')) return known;
  return [...new Set(names)].map((name) => {
    const row = known.find((one) => one.name === name);
    if (row) return row;
    const there = [...known.map((one) => one.name), 'all'].join(', ');
    throw new ArgumentError('--variant', `the ${target} lane has no variant '${name}'`, `Name one of: ${there}.`);
  });
}

/** The options of a row's boots. What the user adds to the command line stands behind, so that it wins. */
export function optionsOf({ cmdline }: RowName, global: GlobalOptions): GlobalOptions {
  const words = [cmdline, global.cmdline].filter(Boolean).join(' ');
  return words === '' ? global : { ...global, cmdline: words };
}

/** A row whose machine does not come up costs its own checks, and no other row. */
export function forOneRow(executor: Executor, unknown: RunPlanOptions['unknown']): Executor {
  return async (items, sink) => {
    try {
      return await executor(items, sink);
    } catch (error) {
      sink.facts(unknown);
      throw error;
    }
  };
}
