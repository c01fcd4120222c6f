import type { Command } from 'commander';
import { type RunCommandOptions, withRunOptions } from '../runner/options.ts';
import { globalOptionsOf, withGlobalOptions } from '../target/options.ts';
import { publicModules } from './public-modules.ts';
import type { Ends } from './subcommand.ts';

/** Adds `kvm-dsm run`. */
export function addRunCommand(program: Command, ends: Ends): void {
  withGlobalOptions(withRunOptions(program.command('run')))
    .description('run an IPI script (.ts or .js)')
    .argument('<script>')
    .argument('[args...]', "the script's own arguments; options among them go behind --")
    .action(async (script: string, args: string[], _options, command: Command) => {
      const { runScript } = await import('../runner/run.ts');
      ends(await runScript(script, args, globalOptionsOf<RunCommandOptions>(command), publicModules));
    });
}
