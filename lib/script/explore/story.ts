/** A schedule told: what each vCPU did in each step, side by side. */
import type { Failure } from '../../base/errors.ts';
import { hex, plural } from '../../base/text.ts';
import { headOf, sheetOf } from '../../picture/diagram.ts';
import { drawRow } from '../../picture/draw.ts';
import type { MachineVcpu } from '../machine/vcpu.ts';

/** One step. */
export interface Told {
  readonly who: number;
  /** The instruction; behind it what came of it. */
  readonly text: string;
}

/** So many steps are shown at most: the last ones. */
const SHOWN = 60;

/** Why a schedule is wrong, and how it went. */
export class ScheduleStory implements Failure {
  readonly causes: readonly string[];
  readonly #schedule: string;
  readonly #steps: readonly Told[];
  readonly #registers: readonly string[];

  constructor(cause: string, schedule: string, steps: readonly Told[], vcpus: readonly MachineVcpu[]) {
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
