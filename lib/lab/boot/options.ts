/** What a machine of the lab is started with. */
import type { Duplex } from 'node:stream';
import { checkFunction, checkObject } from '../../base/check.ts';
import type { Abort, InputStream, OutputStream } from '../../base/node-shapes.ts';
import { boolean, func, listOf, number, oneOf, optional, shape, text, type ValueCheck } from '../../base/shape.ts';
import type { InsideFile } from '../disk/inside-file.ts';
import { type SeriesName, seriesNames } from '../kernel/own-series.ts';
import { type LaneName, laneNames } from '../lanes/index.ts';
import type { Report } from '../progress.ts';
import { defaultLimits, type Limits } from './limits.ts';

/**
 * parts: kernel, emulator and disk are looked up, and made where there are none. turn: the machine that `lab up` keeps is asked
 * for a turn. boot: the machine comes up. command: it runs the command. end: the command has ended.
 */
export type LabStage = 'parts' | 'turn' | 'boot' | 'command' | 'end';

/** What every machine is started with. */
export interface LabOptions {
  /** Which machine. */
  lane: LaneName;
  /** A bzImage; without it the lab's own, which is built when the cache has none. */
  kernel?: string;
  /** Which of the lab's own kernels, where `kernel` names none; rfc-v2 if not given. */
  series?: SeriesName;
  /** Behind the lab's own kernel parameters, so that it wins over them. */
  cmdline?: string;
  /** A binary of the lane's emulator instead of the system's. */
  emulator?: string;
  /** Gets what the command inside prints. */
  stdout: OutputStream;
  /** Gets its errors. */
  stderr: OutputStream;
  /** Takes words on what is going on. */
  report?: Report;
  /**
   * Takes what the command inside writes into the kernel's log behind the lab's marker. Every process inside can do that:
   * false if it is not the command's; then it stands in the log.
   */
  onMark?: (text: string) => boolean;
  /** Is told what comes next. */
  onStage?: (stage: LabStage) => void;
  /** Ends the machine. */
  signal?: Abort;
  /** How long a machine may stay silent, and so on. */
  limits?: Partial<Limits>;
}

/** A command to run in the lab. */
export interface LabRunOptions extends LabOptions {
  /** The `kvm-dsm` arguments. */
  argv: readonly string[];
  /** Environment variables inside. */
  env?: Readonly<Record<string, string>>;
  /** Files at absolute paths inside. */
  files?: readonly InsideFile[];
  /** What the command allows itself; the lab waits somewhat longer. */
  timeoutSeconds?: number;
  /** The command reads the kernel's log itself: if it fails, a report of the kernel's is no news. Default false. */
  watchesLog?: boolean;
  /** Uses the machine that `lab up` keeps, if one is up that is what would be booted. Default false. */
  warm?: boolean;
  /** Runs this instead of the `kvm-dsm` command. */
  program?: readonly string[];
  /**
   * The machine gets one more serial line, and this the outer end of it; inside it is the lane's `nodeLine`. Such a machine is booted for
   * the command alone.
   *
   * @internal
   */
  nodeLine?: (line: Duplex) => void;
}

/** An object of Node.js's, by the one method that says what it is. */
function withMethod<T>(method: keyof T & string): ValueCheck<T> {
  return (argument, value) => {
    checkFunction(`${argument}.${method}`, checkObject(argument, value as T)[method]);
    return value as T;
  };
}

const strings: ValueCheck<Readonly<Record<string, string>>> = (argument, value) =>
  Object.fromEntries(
    Object.entries(checkObject(argument, value as object)).map(([name, one]) => [
      name,
      text(`${argument}.${name}`, one),
    ]),
  );

const data: ValueCheck<Uint8Array | string> = (argument, value) =>
  value instanceof Uint8Array ? value : text(argument, value);

const insideFile = shape<InsideFile>('a file has', { path: text, data, executable: optional(boolean) });

const seconds = optional(number(0, Number.MAX_SAFE_INTEGER));
const limits = shape<Partial<Limits>>(
  'the limits of a machine are',
  Object.fromEntries(Object.keys(defaultLimits).map((name) => [name, seconds])) as Record<keyof Limits, typeof seconds>,
);

const labOptions = {
  lane: oneOf(laneNames),
  kernel: optional(text),
  series: optional(oneOf(seriesNames)),
  cmdline: optional(text),
  emulator: optional(text),
  stdout: withMethod<OutputStream>('write'),
  stderr: withMethod<OutputStream>('write'),
  report: optional(func<Report>()),
  onMark: optional(func<(text: string) => boolean>()),
  onStage: optional(func<(stage: LabStage) => void>()),
  signal: optional(withMethod<Abort>('addEventListener')),
  limits: optional(limits),
};

export const runOptions = shape<LabRunOptions>('runInLab() takes', {
  ...labOptions,
  argv: listOf(text),
  env: optional(strings),
  files: optional(listOf(insideFile)),
  timeoutSeconds: seconds,
  watchesLog: optional(boolean),
  warm: optional(boolean),
  program: optional(listOf(text)),
  nodeLine: optional(func<(line: Duplex) => void>()),
});

export const shellOptions = shape<LabOptions & { stdin: InputStream }>('labShell() takes', {
  ...labOptions,
  stdin: withMethod<InputStream>('on'),
});
