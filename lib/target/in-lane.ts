/** Runs this command inside a machine of the lab. */
import type { Duplex } from 'node:stream';
import {
  type LabRunOptions,
  type LabStage,
  type LaneName,
  runInLab,
  seriesOfProfile,
  type Timings,
} from '../lab/index.ts';
import { doing } from './doing.ts';
import type { GlobalOptions } from './options.ts';
import { printingStream } from './output.ts';
import { besideProgress, showsProgress, wipeProgress, withProgress } from './progress.ts';
import { withSignals } from './signals.ts';

/** What a lab machine is to run beside what every command is started with. */
export interface LaneWork {
  argv: readonly string[];
  /** What it is, in words that can stand behind "while": `running the script`. */
  what: string;
  files?: { path: string; data: string | Uint8Array; executable?: boolean }[];
  env?: Record<string, string>;
  program?: readonly string[];
  /** The command reads the kernel's log itself. */
  watchesLog?: boolean;
  /** Takes the line that leads to the command's own device. */
  nodeLine?: (line: Duplex) => void;
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
  /** Not a word of what the lab does to get a machine ready. Default false. */
  quiet?: boolean;
  /** Ends the machine. */
  signal?: AbortSignal | undefined;
}

/** Runs this command with other arguments inside a lab machine, and returns its exit code. */
export async function runInLane(
  lane: LaneName,
  { what, ...work }: LaneWork,
  options: GlobalOptions,
  { stdout, timings, onMark, isAnother = false, quiet = false, signal }: LaneOutput = { stdout: printingStream() },
): Promise<number> {
  timings?.ended('command');
  const shown = { json: options.json, quiet };
  const given: LabRunOptions = {
    lane,
    ...work,
    ...(options.kernel === undefined ? { series: seriesOfProfile(options.profile) } : { kernel: options.kernel }),
    ...(options.cmdline === undefined ? {} : { cmdline: options.cmdline }),
    ...(options.emulator === undefined ? {} : { emulator: options.emulator }),
    timeoutSeconds: options.timeout,
    warm: !isAnother,
    stdout,
    onMark: (text) => timings?.take(text) || (onMark?.(text) ?? false),
    stderr: showsProgress(shown) ? besideProgress() : process.stderr,
    ...(isAnother
      ? {}
      : {
          report: (line, stage) => laneReport(line, stage, quiet || showsProgress(shown)),
          onStage: tellStage(lane, what),
        }),
  };
  return withSignals((interrupted) =>
    withProgress(shown, async () => {
      const ends = signal ? AbortSignal.any([signal, interrupted]) : interrupted;
      const { exitCode } = await runInLab({ ...given, signal: ends }, timings);
      return exitCode;
    }),
  );
}

/** What the lab says while it gets a machine ready. */
export function laneReport(line: string, stage?: string, hidesStages = false): void {
  if (stage !== undefined) doing(`getting the lab ready (${stage})`);
  if (stage !== undefined && hidesStages) return;
  wipeProgress();
  process.stderr.write(`${line}\n`);
}

/** Says what the command is at when a machine of the lab has come to a stage. */
export const tellStage = (lane: LaneName, what: string) => (stage: LabStage) => {
  const words: Record<LabStage, string> = {
    parts: `looking for what the ${lane} machine is made of`,
    turn: `waiting for the ${lane} machine that is up`,
    boot: `booting the ${lane} machine`,
    command: what,
    end: `ending the ${lane} machine`,
  };
  doing(words[stage]);
};

/** Runs a command without arguments inside a lab machine, as it would run on a host there, and returns its exit code. */
export function runCommandInLane(command: 'doctor' | 'abi', lane: LaneName, options: GlobalOptions): Promise<number> {
  const argv = [command, '--on', 'host', '--profile', options.profile, '--device', options.device];
  const what = command === 'doctor' ? 'examining the machine' : 'asking the kernel';
  return runInLane(lane, { what, argv: options.json ? [...argv, '--json'] : argv }, options);
}
