/** Runs this command inside a machine of the lab. */
import { type LabRunOptions, type LaneName, runInLab, seriesOfProfile, type Timings } from '../lab/index.ts';
import type { GlobalOptions } from './options.ts';
import { printingStream } from './output.ts';

/** What a lab machine is to run beside what every command is started with. */
export interface LaneWork {
  argv: readonly string[];
  files?: { path: string; data: string | Uint8Array; executable?: boolean }[];
  env?: Record<string, string>;
  program?: readonly string[];
  /** The command reads the kernel's log itself. */
  watchesLog?: boolean;
}

/** Where the output of the command inside a lab machine goes. */
export interface LaneOutput {
  stdout: NodeJS.WritableStream;
  /** Takes what the command writes into the kernel's log behind the lab's marker; false if it is not the command's. */
  onMark?: (text: string) => boolean;
  /** Is told when each phase ends. */
  timings?: Timings | undefined;
  /** It is one more machine of a command that has one: it boots its own, and says nothing of that. Default false. */
  isAnother?: boolean;
  /** Ends the machine. */
  signal?: AbortSignal | undefined;
}

/** Runs this command with other arguments inside a lab machine, and returns its exit code. */
export async function runInLane(
  lane: LaneName,
  work: LaneWork,
  options: GlobalOptions,
  { stdout, timings, onMark, isAnother = false, signal }: LaneOutput = { stdout: printingStream() },
): Promise<number> {
  timings?.ended('command');
  const given: LabRunOptions = {
    lane,
    ...work,
    ...(options.kernel === undefined ? { series: seriesOfProfile(options.profile) } : { kernel: options.kernel }),
    ...(options.cmdline === undefined ? {} : { cmdline: options.cmdline }),
    ...(options.emulator === undefined ? {} : { emulator: options.emulator }),
    timeoutSeconds: options.timeout,
    warm: !isAnother,
    stdout,
    ...(signal ? { signal } : {}),
    onMark: (text) => timings?.take(text) || (onMark?.(text) ?? false),
    stderr: process.stderr,
    ...(isAnother ? {} : { report: (line) => process.stderr.write(`${line}\n`) }),
  };
  const { exitCode } = await runInLab(given, timings);
  return exitCode;
}

/** Runs a command without arguments inside a lab machine, as it would run on a host there, and returns its exit code. */
export function runCommandInLane(command: 'doctor' | 'abi', lane: LaneName, options: GlobalOptions): Promise<number> {
  const argv = [command, '--on', 'host', '--profile', options.profile, '--device', options.device];
  return runInLane(lane, { argv: options.json ? [...argv, '--json'] : argv }, options);
}
