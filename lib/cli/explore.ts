import type { Command } from 'commander';
import { ArgumentError } from '../base/errors.ts';
import { seedOption } from '../runner/options.ts';
import { globalOptionsOf, withGlobalOptions } from '../target/options.ts';
import { exploreSchedules, type ScheduleOptions, withScheduleOptions } from './explore-schedules.ts';
import type { Ends } from './subcommand.ts';

/** Seconds that it may take if `--timeout` does not say otherwise. */
const EXPLORE_TIMEOUT = 300;

/** Adds `kvm-dsm explore`. */
export function addExploreCommand(program: Command, ends: Ends): void {
  withScheduleOptions(withGlobalOptions(program.command('explore'), EXPLORE_TIMEOUT).addOption(seedOption()))
    .description('run a program under every schedule of its vCPUs')
    .action(async (args: string[], _options, command: Command) => {
      const options = globalOptionsOf<ScheduleOptions>(command);
      if (options.schedules === undefined)
        throw new ArgumentError('--schedules', 'There is no script to explore', 'Give one: --schedules <script>.');
      ends(await exploreSchedules(options, args));
    });
}
