/** Runs a command in a machine that was up before it. */
import { randomBytes } from 'node:crypto';
import { CommandRun } from '../boot/command-run.ts';
import type { Interruption } from '../boot/interruption.ts';
import { defaultLimits } from '../boot/limits.ts';
import { Marks } from '../boot/marks.ts';
import type { LabRunOptions } from '../boot/options.ts';
import type { Parts } from '../boot/prepare.ts';
import { jobUnit } from '../disk/init.ts';
import type { InsideCommand } from '../disk/initramfs.ts';
import type { Timings } from '../timings.ts';
import { KeptMachine, type MachineChannel } from './kept-machine.ts';
import type { Turn } from './protocol.ts';

/** A command for a machine that is up before it. */
export interface KeptCommand {
  parts: Parts;
  options: LabRunOptions;
  command: InsideCommand & { watchesLog: boolean };
  timeoutSeconds: number;
  timings: Timings | undefined;
}

/** What one is run with. */
export interface KeptRun extends KeptCommand {
  /** The command's files: `makeJob`. */
  job: Buffer;
  /** Who calls ends it, when what the machine worked in is removed. */
  interruption: Interruption;
}

/**
 * The command's exit code.
 *
 * @throws what CommandRun throws; a LabBootError if the machine was lost before the command began
 */
export async function runKept(channel: MachineChannel, turn: Omit<Turn, 'notes'>, run: KeptRun): Promise<number> {
  const { parts, options, command, job, timeoutSeconds, timings, interruption } = run;
  const marks = new Marks(turn.secrets);
  const end = randomBytes(8).toString('hex');
  const machine = new KeptMachine(parts.emulator, channel, turn, end);
  try {
    interruption.check();
    const commandRun = new CommandRun({
      machine,
      stdout: options.stdout,
      stderr: options.stderr,
      report: options.report ?? (() => {}),
      bootReport: parts.lane.quirks.bootReport,
      watchesLog: command.watchesLog,
      marks,
      onMark: options.onMark,
      onStage: options.onStage,
      timings,
      clockIsReal: false,
      limits: { ...defaultLimits, ...options.limits },
      timeoutSeconds,
    });
    interruption.watch(machine);
    channel.send('archive', job);
    const secrets = (['ready', 'exit', 'bye'] as const).map((word) => marks.secret(word));
    channel.send('begin', `${[Math.ceil(job.length / jobUnit), ...secrets, end].join(' ')}\n`);
    return await commandRun.run();
  } catch (error) {
    interruption.check();
    throw error;
  }
}
