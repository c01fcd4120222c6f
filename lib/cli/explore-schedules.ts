/** `kvm-dsm explore --schedules`: a script that calls `m.explore()`, where the options say. */
import { type Command, Option } from 'commander';
import type { RunCommandOptions } from '../runner/options.ts';
import { integer } from '../runner/suite/options.ts';
import type { GlobalOptions } from '../target/options.ts';
import { publicModules } from './public-modules.ts';

/** Their values. */
export interface ScheduleOptions extends GlobalOptions {
  schedules: string;
  schedule?: string;
  limit?: number;
  seed?: number;
}

/** Adds the options that only `--schedules` has. */
export function withScheduleOptions(command: Command): Command {
  return command
    .option('--schedules <script>', "every interleaving of a script's vCPUs: m.explore() of docs/schedules.md")
    .option('--schedule <steps>', 'with --schedules: this one alone, as it was told')
    .addOption(new Option('--limit <n>', 'with --schedules: at most so many').argParser(integer(1, 1_000_000_000)))
    .argument('[args...]', "with --schedules: the script's own arguments; options among them go behind --");
}

/** Runs the script; returns the exit code. */
export async function exploreSchedules(options: ScheduleOptions, args: string[]): Promise<number> {
  const { schedules, schedule, limit, seed, ...same } = options;
  const given = { schedule, limit, seed };
  const exploring = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const run: RunCommandOptions = { ...same, repeat: 1, watch: false, timings: false, quiet: false, exploring };
  const { runScript } = await import('../runner/run.ts');
  return runScript(schedules, args, { ...run, ...(seed !== undefined && { seed }) }, publicModules);
}
