/** The words by which a process of this command starts another one. */

import { KEEP_MACHINE } from '../lab/warm/words.ts';
import type { PublicModules } from './bundle/public-modules.ts';
import { PARSED_RUN } from './protocol.ts';
import { SUITE_WORKER } from './suite/protocol.ts';

/**
 * What this process does if another process of the command has started it with a word instead of a subcommand: returns
 * its exit code to be. Undefined if a user has typed the arguments.
 */
export function internalCommand(argv: readonly string[], modules: PublicModules): Promise<number> | undefined {
  switch (argv[2]) {
    case PARSED_RUN:
      return import('./run.ts').then(({ runParsed }) => runParsed(argv[3]!, modules));
    case SUITE_WORKER:
      return import('./suite/worker.ts').then(({ suiteWorker }) => suiteWorker());
    case KEEP_MACHINE:
      return import('../lab/warm/keeper.ts').then(({ keepMachine }) => keepMachine(argv[3]!));
    default:
      return undefined;
  }
}
