import { type Command, InvalidArgumentError, Option } from 'commander';
import type { ExploreCommandOptions } from '../explore/command.ts';
import { integer } from '../runner/suite/options.ts';
import { globalOptionsOf, withGlobalOptions } from '../target/options.ts';
import type { Ends } from './subcommand.ts';

/** Adds `kvm-dsm explore`. The interleavings (`--schedules`) get their options, and their way to the work, here. */
export function addExploreCommand(program: Command, ends: Ends): void {
  withGlobalOptions(program.command('explore'))
    .description('random histories of guests and of the host, against a model of the local APIC')
    .addOption(new Option('--seed <n>', 'what is tried; default: another each time').argParser(integer(0, 0x7fff_ffff)))
    .addOption(new Option('--for <time>', 'how long, such as 60s').default(60, '60s').argParser(duration))
    .addOption(new Option('--histories <n>', 'at most so many').argParser(integer(1, 1_000_000_000)))
    .addOption(new Option('--vcpus <n>', 'of the machine').default(2).argParser(integer(1, 4)))
    .option('--replay <difference>', 'one difference again, as it was told')
    // How a lane tells the command outside.
    .addOption(new Option('--events').default(false).hideHelp())
    .action(async (_options, command: Command) => {
      const options = globalOptionsOf<ExploreCommandOptions>(command);
      const { exploreCommand } = await import('../explore/command.ts');
      ends(await exploreCommand(options));
    });
}

/** Seconds. */
function duration(text: string): number {
  const found = /^(\d+(?:\.\d+)?)(s|m|h)?$/.exec(text);
  const seconds = found ? Number(found[1]) * { s: 1, m: 60, h: 3600 }[(found[2] ?? 's') as 's'] : 0;
  if (seconds > 0 && seconds <= 86_000) return seconds;
  throw new InvalidArgumentError('Give a time such as 60s, 10m or 2h, at most 86000s.');
}
