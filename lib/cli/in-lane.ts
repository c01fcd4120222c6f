import { type Lane, runInLab } from '../lab/index.ts';
import { PARSED_RUN, type ParsedRun } from './inside.ts';
import type { GlobalOptions } from './options.ts';

/** Runs a script inside a lab machine, as it would run on a host there, and returns its exit code. */
export function runScriptInLane(
  lane: Lane,
  run: Omit<ParsedRun, 'options'>,
  files: { path: string; data: string }[],
  options: GlobalOptions,
): Promise<number> {
  const { on: _, kernel: _kernel, cmdline: _cmdline, emulator: _emulator, ...inside } = options;
  const parsed: ParsedRun = { ...run, options: { ...inside, on: 'host' } };
  return runInLane(lane, [PARSED_RUN, JSON.stringify(parsed)], files, options);
}

/** Runs the doctor inside a lab machine, as it would run on a host there, and returns its exit code. */
export function runDoctorInLane(lane: Lane, options: GlobalOptions): Promise<number> {
  const argv = ['doctor', '--on', 'host', '--profile', options.profile, '--device', options.device];
  return runInLane(lane, options.json ? [...argv, '--json'] : argv, [], options);
}

/** Who takes what the command inside a lab machine says. */
interface Ears {
  stdout: NodeJS.WritableStream;
  onMark?: (word: string, rest: string) => void;
}

/** Runs the command with other arguments inside a lab machine. */
export async function runInLane(
  lane: Lane,
  argv: readonly string[],
  files: { path: string; data: string }[],
  options: GlobalOptions,
  ears: Ears = { stdout: process.stdout },
): Promise<number> {
  const { exitCode } = await runInLab({
    lane,
    argv,
    files,
    ...(options.kernel === undefined ? {} : { kernel: options.kernel }),
    ...(options.cmdline === undefined ? {} : { cmdline: options.cmdline }),
    ...(options.emulator === undefined ? {} : { emulator: options.emulator }),
    timeoutSeconds: options.timeout,
    ...ears,
    stderr: process.stderr,
    report: (line) => process.stderr.write(`${line}\n`),
  });
  return exitCode;
}
