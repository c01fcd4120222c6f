import type { Command } from 'commander';
import { globalOptionsOf, withGlobalOptions } from '../target/options.ts';
import type { Ends } from './subcommand.ts';

/** Adds `kvm-dsm abi`. */
export function addAbiCommand(program: Command, ends: Ends): void {
  withGlobalOptions(program.command('abi'))
    .description('numbers and layouts, their sources, and what this kernel answers to each')
    .action(async (_options, command: Command) => {
      const { abi } = await import('../inspect/command.ts');
      ends(await abi(globalOptionsOf(command)));
    });
}
