import type { Command } from 'commander';
import { globalOptionsOf, withGlobalOptions } from '../target/options.ts';
import type { Ends } from './subcommand.ts';

/** Adds `kvm-dsm doctor`. */
export function addDoctorCommand(program: Command, ends: Ends): void {
  withGlobalOptions(program.command('doctor'))
    .description('is this host, or the lab, ready? every check, its finding, and what to do')
    .action(async (_options, command: Command) => {
      const { doctor } = await import('../doctor/command.ts');
      ends(await doctor(globalOptionsOf(command)));
    });
}
