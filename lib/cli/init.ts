import type { Command } from 'commander';
import { globalOptionsOf, withGlobalOptions } from '../target/options.ts';
import type { Ends } from './subcommand.ts';

/** Adds `kvm-dsm init`. */
export function addInitCommand(program: Command, ends: Ends): void {
  withGlobalOptions(program.command('init'), undefined, { json: 'print what was made as JSON' })
    .description('make a project of tests: package.json, tsconfig.json, a first test, a workflow for CI')
    .argument('[folder]', 'where; nothing that is there is written over', '.')
    .action(async (folder: string, _options, command: Command) => {
      const { initProject } = await import('../runner/init/command.ts');
      initProject(folder, globalOptionsOf(command).json);
      ends(0);
    });
}
