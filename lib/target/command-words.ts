import { type RunOptions, wordsOf } from './options.ts';

/** The arguments that run a script in the same way. */
export function runArguments(script: string, args: readonly string[], options: Partial<RunOptions>): string[] {
  return ['run', script, ...wordsOf(options), ...(args.length > 0 ? ['--', ...args] : [])];
}

/** The command that does one run once more, for a person to type; a seed is to be added behind the script. */
export function again(script: string, args: readonly string[], options: RunOptions): string {
  const { repeat: _repeat, seed: _seed, watch: _watch, json: _json, ...same } = options;
  return ['kvm-dsm', ...runArguments(script, args, same)].map(quoted).join(' ');
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
