/** Where the seconds of a command in the lab go: phases that follow one another, measured by the host's clock. */

/** What each phase is, in the order in which they come. Some come again when a machine is booted again. */
export const phases = {
  command: 'this command: its start, the script made ready',
  lookup: 'kernel, emulator and disk looked up',
  turn: 'the warm machine asked for a turn',
  resume: 'a machine that has booted goes on from its snapshot',
  layout: "the machine's files written",
  emulator: "the emulator's start, to its serial lines",
  firmware: 'firmware and boot loader',
  kernel: 'the kernel, to user space',
  init: "the machine's init, to the command",
  node: 'Node.js and the package loaded',
  questions: 'what the kernel is asked first',
  script: 'the script, or the checks',
  end: "the command's end",
  output: 'the rest of its output',
  off: "the emulator's end",
  answer: 'the answer told',
} as const;

export type Phase = keyof typeof phases;

/** What a process inside writes behind the lab's marker when a phase has ended. */
export const PHASE_WORD = 'phase';

/** The environment variable that asks it to. */
export const TELL_PHASES = 'KVM_DSM_TELL_PHASES';

/** How long a command took, in milliseconds. */
export interface TimingsReport {
  /** In the order in which they ended first. */
  phases: {
    /** Its name. */
    phase: Phase;
    /** Of all its times together. */
    ms: number;
  }[];
  /** From the begin to the end of the last phase. */
  totalMs: number;
}

/** Measures the phases of one command: `runInLab()` tells it when each has ended. */
export class Timings {
  readonly #ms = new Map<Phase, number>();
  readonly #began: number;
  #last: number;

  /** @param began on the clock of `performance.now()`: 0 is this process' start */
  constructor(began = 0) {
    this.#began = began;
    this.#last = began;
  }

  /** A phase has ended: all the time since the end of the one before was its. */
  ended(phase: Phase, at = performance.now()): void {
    const end = Math.max(at, this.#last);
    this.#ms.set(phase, (this.#ms.get(phase) ?? 0) + end - this.#last);
    this.#last = end;
  }

  /** Takes what a process inside wrote behind the lab's marker; false if it tells of no phase. */
  take(text: string): boolean {
    const [word, phase, ...more] = text.split(' ');
    if (word !== PHASE_WORD || phase === undefined || more.length > 0 || !Object.hasOwn(phases, phase)) return false;
    this.ended(phase as Phase);
    return true;
  }

  /** What has been measured so far. */
  report(): TimingsReport {
    const told = [...this.#ms].map(([phase, ms]) => ({ phase, ms: Math.round(ms) }));
    return { phases: told, totalMs: Math.round(this.#last - this.#began) };
  }
}

/** For a person: a line for each phase. */
export function describeTimings({ phases: told, totalMs }: TimingsReport): string {
  const line = (name: string, ms: number, what: string) =>
    `${name.padEnd(10)}${(ms / 1000).toFixed(2).padStart(7)} s  ${what}`.trimEnd();
  return `${[...told.map(({ phase, ms }) => line(phase, ms, phases[phase])), line('total', totalMs, '')].join('\n')}\n`;
}
