/** `kvm-dsm explore`: what nobody has thought of. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { ArgumentError } from '../base/errors.ts';
import type { ExploreCommandOptions, ExploreTurn } from '../explore/command.ts';
import type { OpinionsOptions } from '../explore/opinions/command.ts';
import { integer } from '../runner/suite/options.ts';
import { globalOptionsOf, withGlobalOptions } from '../target/options.ts';
import { exploreSchedules, type ScheduleOptions, withScheduleOptions } from './explore-schedules.ts';
import type { Ends } from './subcommand.ts';

/** Seconds that it may take if `--timeout` does not say otherwise. */
const EXPLORE_TIMEOUT = 300;

/** What only one of both takes. */
const ofHistories = ['for', 'histories', 'vcpus', 'jobs', 'replay'];
const ofSchedules = ['schedule', 'limit'];

/** Adds `kvm-dsm explore`: random histories against the model, or with `--schedules` a script's vCPUs in every order. */
export function addExploreCommand(program: Command, ends: Ends): void {
  const command = withGlobalOptions(program.command('explore'), EXPLORE_TIMEOUT)
    .description(
      'random histories of guests and of the host, against a model of the local APIC; or a program under every schedule',
    )
    .addOption(new Option('--seed <n>', 'what is tried; default: another each time').argParser(integer(0, 0xffff_ffff)))
    .addOption(new Option('--for <time>', 'how long, such as 60s').default(60, '60s').argParser(duration))
    .addOption(new Option('--histories <n>', 'at most so many').argParser(integer(1, 1_000_000_000)))
    .addOption(new Option('--vcpus <n>', 'of the machine').default(2).argParser(integer(1, 4)))
    .addOption(
      new Option('--jobs <n>', 'processes that try histories; default: one for each CPU').argParser(integer(1, 64)),
    )
    .option('--replay <difference>', 'one difference again, as it was told')
    .option('--opinions [who]', 'the same guest on KVM-Intel, KVM-AMD, the model, and on QEMU and Bochs without a KVM')
    .addOption(new Option('--rom <file>').hideHelp())
    // How a lane tells the command outside.
    .addOption(new Option('--events').default(false).hideHelp())
    // And how one of several processes knows which it is.
    .addOption(new Option('--turn <at>').argParser(turn).hideHelp());
  withScheduleOptions(command).action(async (args: string[], _options, command: Command) => {
    const schedules = command.getOptionValueSource('schedules') !== undefined;
    const odd = (schedules ? ofHistories : ofSchedules).find((name) => command.getOptionValueSource(name) === 'cli');
    if (odd !== undefined) throw notWith(odd, schedules);
    if (schedules) {
      const {
        for: _for,
        vcpus: _vcpus,
        events: _events,
        ...options
      } = globalOptionsOf<ScheduleOptions & ExploreCommandOptions>(command);
      return ends(await exploreSchedules(options, args));
    }
    if (command.getOptionValueSource('opinions') !== undefined) {
      const alien = ['for', 'vcpus', 'jobs'].find((name) => command.getOptionValueSource(name) === 'cli');
      if (alien !== undefined)
        throw new ArgumentError(`--${alien}`, `--${alien} is not for --opinions`, 'Leave one of both out.');
      const { opinionsCommand } = await import('../explore/opinions/command.ts');
      return ends(await opinionsCommand(globalOptionsOf<OpinionsOptions>(command)));
    }
    if (args.length > 0)
      throw new ArgumentError(
        'args',
        `${args[0]} is for a script, and there is none`,
        'Give a script to explore by --schedules, or leave it out.',
      );
    const { exploreCommand } = await import('../explore/command.ts');
    ends(await exploreCommand(globalOptionsOf<ExploreCommandOptions>(command)));
  });
}

function notWith(name: string, schedules: boolean): ArgumentError {
  const why = schedules ? 'is for random histories, not for schedules' : 'is for schedules: there is no --schedules';
  return new ArgumentError(`--${name}`, `--${name} ${why}`, 'Leave one of both out.');
}

/** Seconds. */
function duration(text: string): number {
  const found = /^(\d+(?:\.\d+)?)(s|m|h)?$/.exec(text);
  const seconds = found ? Number(found[1]) * { s: 1, m: 60, h: 3600 }[(found[2] ?? 's') as 's'] : 0;
  if (seconds > 0 && seconds <= 86_000) return seconds;
  throw new InvalidArgumentError('Give a time such as 60s, 10m or 2h, at most 86000s.');
}

/** `1/4`: the second of four. */
function turn(text: string): ExploreTurn {
  const [at, of] = text.split('/').map(Number) as [number, number];
  return { at, of };
}
