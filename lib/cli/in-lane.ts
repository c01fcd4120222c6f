import { type Lane, runInLab } from '../lab/index.ts';
import type { GlobalOptions } from './options.ts';

/**
 * Runs a subcommand inside a lab machine, as it would run on a host there, and returns its exit code.
 *
 * @param command the subcommand and its own arguments
 * @param files what it needs inside, at absolute paths
 * @param rest arguments that stand behind `--`
 */
export async function runInLane(
  lane: Lane,
  command: readonly string[],
  files: { path: string; data: string }[],
  options: GlobalOptions,
  rest: readonly string[] = [],
): Promise<number> {
  const argv = [...command, '--on', 'host', '--profile', options.profile, '--timeout', String(options.timeout)];
  if (options.json) argv.push('--json');
  if (options.device !== '/dev/kvm') argv.push('--device', options.device);
  if (rest.length > 0) argv.push('--', ...rest);
  const { exitCode } = await runInLab({
    lane,
    argv,
    files,
    ...(options.kernel === undefined ? {} : { kernel: options.kernel }),
    ...(options.cmdline === undefined ? {} : { cmdline: options.cmdline }),
    ...(options.emulator === undefined ? {} : { emulator: options.emulator }),
    timeoutSeconds: options.timeout,
    stdout: process.stdout,
    stderr: process.stderr,
    report: (line) => process.stderr.write(`${line}\n`),
  });
  return exitCode;
}
