import type { Command } from 'commander';
import { defaultTimeout, ROUND_TIMEOUT, type TestOptions, withTestOptions } from '../runner/suite/options.ts';
import { globalOptionsOf, withGlobalOptions } from '../target/options.ts';
import type { Ends } from './subcommand.ts';

/** Adds `kvm-dsm test`. */
export function addTestCommand(program: Command, ends: Ends): void {
  withTestOptions(withGlobalOptions(program.command('test'), ROUND_TIMEOUT))
    .description('run the conformance suite')
    .argument('[pattern...]', 'parts of the names of checks, or globs such as payload.*.vector')
    .action(async (patterns: string[], own: TestOptions, command: Command) => {
      const { runTests } = await import('../runner/suite/run.ts');
      const given = globalOptionsOf(command);
      const isGiven = command.getOptionValueSourceWithGlobals('timeout') !== 'default';
      ends(await runTests(patterns, own, isGiven ? given : { ...given, timeout: defaultTimeout(own) }));
    });
}
