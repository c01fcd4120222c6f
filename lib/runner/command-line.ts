import { shellWord } from '../base/shell.ts';
import { optionArguments } from '../target/options.ts';
import { type RunCommandOptions, runDefaults } from './options.ts';

/** The arguments that run a script in the same way. */
export function runArguments(script: string, args: readonly string[], options: Partial<RunCommandOptions>): string[] {
  return ['run', script, ...optionArguments(options, runDefaults), ...(args.length > 0 ? ['--', ...args] : [])];
}

/** The command line that does one run once more, for a person to type; its seed is to be added after `run`. */
export function commandLineOf(script: string, args: readonly string[], options: RunCommandOptions): string {
  const {
    repeat: _repeat,
    seed: _seed,
    watch: _watch,
    timings: _timings,
    json: _json,
    quiet: _quiet,
    exploring,
    shard,
    ...same
  } = options;
  const [, file, ...rest] = runArguments(script, args, same);
  const { schedule, limit } = exploring ?? {};
  const words = exploring
    ? ['explore', '--schedules', file!, ...optionArguments({ schedule, limit } as never), ...rest]
    : ['run', file!, ...rest];
  if (shard) words[0] = 'node';
  return ['kvm-dsm', ...words].map(shellWord).join(' ');
}
