/** What a run of the lab fails with, by its cause, and the advice that goes with it. */
import {
  LabBootError,
  LabDeadlineError,
  type LabError,
  LabFrozenError,
  LabInterruptedError,
  LabMarkError,
  LabPanicError,
} from '../errors.ts';
import { lanes } from '../lanes/index.ts';

/** Makes the error, when all of the kernel's log is here. */
export type LabFailure = (log: string[]) => LabError;

export function readerGone(): LabFailure {
  return () => new LabInterruptedError('the reader of the output has gone', { advice: 'Run it again.' });
}

export function panicked(text: string): LabFailure {
  return (log) =>
    new LabPanicError(`the lab's kernel panicked: ${text}`, log, {
      advice: 'The log above has the cause; the lab starts afresh with every run.',
    });
}

/** @param what the mark, and what is wrong with it */
export function wrongMark(what: string): LabFailure {
  return (log) =>
    new LabMarkError(`the machine told the host what its init never tells: ${what}`, log, {
      advice:
        "Something in the machine repeats or changes the lines that init writes to the kernel's log: find out what.",
    });
}

export function notBooted(seconds: number): LabFailure {
  return (log) =>
    new LabBootError(`the kernel did not reach user space within ${Math.round(seconds)} s`, log, {
      unexplained: true,
      advice:
        'It needs CONFIG_BLK_DEV_INITRD, CONFIG_SERIAL_8250_CONSOLE, CONFIG_PRINTK and CONFIG_BINFMT_SCRIPT: ' +
        'compare its configuration with kernel/lab.config.',
    });
}

/** @param disks those that it found, separated by spaces */
export function noMedium(disks: string): LabFailure {
  const seen = disks ? `it found the disks ${disks}` : 'it found no disk';
  const options = lanes.map(({ name, diskOptions }) => `${diskOptions} (${name})`);
  return (log) =>
    new LabBootError(`the kernel cannot read the lab's disk: ${seen}, none of them with the lab's files`, log, {
      advice: `It needs CONFIG_ISO9660_FS, and ${options.join(' or ')}, built in.`,
    });
}

export function noLine(name: string): LabFailure {
  return (log) =>
    new LabBootError(`the kernel has no serial line ${name}, and the lab needs three`, log, {
      advice: 'Build it with CONFIG_SERIAL_8250_NR_UARTS=4 and CONFIG_SERIAL_8250_RUNTIME_UARTS=4.',
    });
}

/** @param threads where those of the emulator are: one that computes and one that waits are different faults */
export function frozen(silent: { wall: number; cpu: number }, uptime: number, threads: readonly string[]): LabFailure {
  const used = `${silent.cpu.toFixed(1)} s of CPU time`;
  return (log) =>
    new LabFrozenError(
      [
        `the lab's machine froze: no sign of life for ${Math.round(silent.wall)} s, the last one at guest time ${uptime} s`,
        `The emulator used ${used} meanwhile, and is here:`,
        ...threads.map((thread) => `  ${thread}`),
      ].join('\n'),
      log,
      {
        advice:
          'Does a guest spin with interrupts disabled (EFLAGS.IF=0) and without exits? Bochs never interrupts such a ' +
          "guest, and only the lab's own kernels take it out: let it exit now and then, or enable interrupts.",
      },
    );
}

export function overdue(limit: number, seconds: number): LabFailure {
  return (log) =>
    new LabDeadlineError(
      `the command had ${limit} s and did not end: stopped after ${Math.round(seconds)} s, the machine itself alive`,
      log,
      { advice: 'Give it more time with --timeout, or find out what it waits for.' },
    );
}
