/** What a run was, now that the machine has ended: the command's exit code, or an error with the cause. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { printable } from '../../base/text.ts';
import type { KernelReport } from '../../host/kernel-reports.ts';
import {
  LabAbortError,
  LabBootError,
  LabEmulatorError,
  LabOopsError,
  LabReportError,
  LabStoppedError,
} from '../errors.ts';
import type { Emulator } from '../lanes/lane.ts';
import type { LabFailure } from './failures.ts';
import type { Stage } from './watch.ts';

/** What is known of a machine that has ended. */
export interface Ended {
  /** What the emulator ended with: a signal, an exit code, or why it did not start. */
  how: string;
  /** Why the lab ended it. */
  failure: LabFailure | undefined;
  /** The kernel's first report that it is broken. */
  reported: KernelReport | undefined;
  /** The command reads the kernel's log itself, and has told of a report if it failed. */
  watchesLog: boolean;
  exitCode: number | undefined;
  /** The emulator came as far as its serial lines. */
  connected: boolean;
  stage: Stage;
  emulator: Emulator;
  /** The run's folder. */
  dir: string;
  log: string[];
}

/** The exit code of the command inside. Throws the LabError that tells what went wrong. */
export function judgeRun(ended: Ended): number {
  const { how, failure, reported, watchesLog, exitCode, connected, stage, emulator, dir, log } = ended;
  if (failure) throw failure(log);
  const told = watchesLog && exitCode !== undefined && exitCode !== 0;
  if (reported !== undefined && !told) {
    const advice = 'The log above has the cause; the lab starts afresh with every run.';
    const { kind, line } = reported;
    if (kind.crash) throw new LabOopsError(`the lab's kernel oopsed: ${line}`, log, { advice });
    throw new LabReportError(`the lab's kernel reported ${kind.what}: ${line}`, log, { advice });
  }
  if (exitCode !== undefined) return exitCode;
  const words = emulatorWords(dir);
  // Bochs 2.7 dies of a SIGSEGV now and then while it ends: nothing of the machine was left to be lost.
  const isOver = log.some((line) => poweredOff.test(line));
  if (crashes.test(how) && connected && !isOver) {
    throw new LabAbortError(`${emulator.kind} ${emulator.version} itself crashed (${how})${words}`, log, {
      advice:
        'No guest may do that to an emulator: the fault is its own. Avoid what the guest did last, or give another ' +
        'one with --emulator.',
    });
  }
  if (!connected) {
    throw new LabEmulatorError(`${emulator.path} ended by itself (${how}) before there was a machine${words}`, {
      advice: 'Run `kvm-dsm lab status` to see what was found out about this emulator.',
    });
  }
  if (stage !== 'running') {
    throw new LabBootError(`the machine stopped while it booted (${emulator.kind}: ${how})${words}`, log, {
      advice: 'Is this kernel made for x86-64, and does it have the drivers that kernel/lab.config names?',
      unexplained: true,
    });
  }
  throw new LabStoppedError(
    `the machine stopped before the command had ended (${emulator.kind}: ${how})${words}`,
    log,
    {
      advice: 'The guest powered off, reset or crashed: the log above has its last words.',
    },
  );
}

/** What Bochs says of its sound, its terminal and in general when it ends. */
const noise = /^=+$|CHS set to|reading configuration from|^ALSA lib|^Bochs connected to screen|^Bochs is exiting with/;

/** The signals by which a process ends that has found, or made, a fault in itself. */
const crashes = /^signal SIG(ABRT|SEGV|BUS|ILL|FPE|TRAP|SYS)$/;

/** The kernel's last words. Source: kernel/reboot.c, kernel_power_off(). */
const poweredOff = /\breboot: Power down\b/;

/** A line with a cause; QEMU prints a screen of registers after it. */
const cause = /\bfatal: |assert|^\*\*ERROR|\bERROR:|PANIC/i;

/** What the emulator itself said last. */
export function emulatorWords(dir: string): string {
  const said = ['emulator.log', 'output.log']
    .map((name) => {
      try {
        return readFileSync(join(dir, name), 'utf8');
      } catch {
        return '';
      }
    })
    .join('\n')
    .split('\n')
    .map((line) => printable(line.trim()))
    .filter((line) => line !== '' && !noise.test(line));
  const causes = said.filter((line) => cause.test(line));
  const told = (causes.length > 0 ? causes : said).slice(-4);
  return told.length > 0 ? `: ${told.join('; ')}` : '';
}
