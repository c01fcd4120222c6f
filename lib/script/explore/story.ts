/** A schedule told: what each vCPU did in each step, side by side. */

import { IpiReader } from '../../apic/ipi.ts';
import type { Failure } from '../../base/errors.ts';
import { hex, plural } from '../../base/text.ts';
import type { Exit } from '../../exit/exit.ts';
import { readWord } from '../../guest/protocol.ts';
import { headOf, sheetOf } from '../../picture/diagram.ts';
import { drawRow } from '../../picture/draw.ts';
import { briefly, isPreparation } from '../../picture/words.ts';
import type { MachineVcpu } from '../machine/vcpu.ts';

/** One step. */
export interface ToldStep {
  readonly who: number;
  /** The instruction; behind it what came of it. */
  readonly text: string;
}

/** Hears what comes out of the guest in a step, and tells it in few words. */
export class Ear {
  readonly #reader = new IpiReader();
  #words: string[] = [];
  /** The vector whose handler of the machine has told that it ran. */
  handled: number | undefined;

  hear(vcpu: number, exit: Exit): void {
    const ipi = this.#reader.read(exit);
    // What it wrote stands there already: only whom it means is news.
    if (isPreparation(exit)) return;
    const word = readWord(exit, () => 0);
    if (word?.kind === 'handled') this.handled = word.vector;
    else if (word?.kind !== 'done')
      this.#words.push(briefly({ seq: 0, ns: 0, vcpu, rip: 0n, exit, ...(word && { word }) }, ipi));
  }

  /** What was heard since the last time. */
  take(): string[] {
    const words = this.#words;
    this.#words = [];
    this.handled = undefined;
    return words;
  }
}

/** So many steps are shown at most: the last ones. */
const SHOWN = 60;

/** Why a schedule is wrong, and how it went. */
export class ScheduleStory implements Failure {
  readonly causes: readonly string[];
  readonly #schedule: string;
  readonly #steps: readonly ToldStep[];
  readonly #registers: readonly string[];

  constructor(cause: string, schedule: string, steps: readonly ToldStep[], vcpus: readonly MachineVcpu[]) {
    this.causes = [cause];
    this.#schedule = schedule;
    this.#steps = steps;
    this.#registers = vcpus.map(registersOf);
  }

  toString(): string {
    return [`schedule ${this.#schedule}`, '', ...this.#diagram(), '', ...this.#registers].join('\n');
  }

  toJSON(): Record<string, unknown> {
    return { causes: this.causes, schedule: this.#schedule, steps: this.#steps, vcpus: this.#registers };
  }

  #diagram(): string[] {
    const lanes = [...new Set(this.#steps.map(({ who }) => who))].sort((a, b) => a - b);
    if (lanes.length === 0) return ['nobody took a step'];
    const sheet = sheetOf(lanes, this.#steps.length);
    const from = Math.max(0, this.#steps.length - SHOWN);
    const rows = this.#steps.slice(from).flatMap(({ who, text }, index) => {
      const seq = from + index + 1;
      return drawRow(sheet, { seq, ns: 0, lane: who, kind: 'word', text });
    });
    const left = from > 0 ? [`... ${plural(from, 'step')} before`] : [];
    return [...headOf(sheet, lanes), ...left, ...rows].map((line) => line.trimEnd());
  }
}

function registersOf({ id, vcpu }: MachineVcpu): string {
  const { rip, rax, rbx, rcx, rdx, rflags } = vcpu.getRegs();
  const values = { rip, rax, rbx, rcx, rdx, rflags };
  return `vCPU ${id}: ${Object.entries(values)
    .map(([name, value]) => `${name} ${hex(value)}`)
    .join(', ')}`;
}
