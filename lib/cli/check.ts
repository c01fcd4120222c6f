import type { Command } from 'commander';
import { globalOptionsOf, withGlobalOptions } from '../target/options.ts';
import type { Ends } from './subcommand.ts';

/** Adds `kvm-dsm check`. */
export function addCheckCommand(program: Command, ends: Ends): void {
  const meanings = {
    json: 'print one JSON document',
    timeout: 'seconds that the compiler may take for the scripts of a folder',
  };
  withGlobalOptions(program.command('check'), undefined, meanings)
    .description("check the types of scripts, by the TypeScript of the script's project; nothing is run")
    .argument('<script...>')
    .action(async (scripts: string[], _options, command: Command) => {
      const { checkScripts } = await import('../runner/check/command.ts');
      ends(await checkScripts(scripts, globalOptionsOf(command)));
    });
}
