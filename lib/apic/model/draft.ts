/** A step in the making: the state that it changes, what it shows, and which rule touched what. */
import type { LapicRegisterName } from '../../abi/apic/lapic.ts';
import type { ExitSeen, StepSeen } from './operations.ts';
import type { RuleName } from './rules.ts';
import { copyOf, type ModelOptions, type ModelState, modeOf, numberOf, type Processor } from './state.ts';

/** Of several things that may be: which one this step takes, and how many there were at each turn. */
class Choices {
  #left: number;
  count = 1;

  constructor(choice: number) {
    this.#left = choice;
  }

  of(number: number): number {
    if (number <= 1) return 0;
    const chosen = this.#left % number;
    this.#left = Math.floor(this.#left / number);
    this.count *= number;
    return chosen;
  }
}

export class Draft {
  readonly state: ModelState;
  readonly options: ModelOptions;
  readonly seen: StepSeen = { exits: [], handled: [], result: null, ended: null, delivered: null };
  readonly choices: Choices;
  /** By vCPU and field: the rule that wrote it last. Kept only where somebody wants to know: it costs more than the step. */
  readonly blame: Map<string, RuleName> | null;
  /** Destination of ICR2 as the last write of ICR found it. */
  icr2Before = 0;
  /** vCPUs that have been reset (-1), or started by a SIPI with this vector. */
  readonly started = new Map<number, number>();

  constructor(state: ModelState, options: ModelOptions, choice: number, explains = false) {
    this.blame = explains ? new Map() : null;
    this.state = copyOf(state);
    this.options = options;
    this.choices = new Choices(choice);
  }

  of(vcpu: number): Processor {
    return this.state.processors[vcpu]!;
  }

  mode(vcpu: number) {
    return modeOf(this.of(vcpu));
  }

  get(vcpu: number, register: LapicRegisterName): number {
    return this.of(vcpu).page[numberOf(register)]!;
  }

  set(vcpu: number, register: LapicRegisterName, value: number, rule: RuleName): void {
    this.of(vcpu).page[numberOf(register)] = value >>> 0;
    this.touch(vcpu, register, rule);
  }

  /** Whether a vector's bit is set in IRR, ISR or TMR. */
  has(vcpu: number, first: 'IRR0' | 'ISR0' | 'TMR0', vector: number): boolean {
    return ((this.of(vcpu).page[numberOf(first) + (vector >> 5)]! >>> (vector & 31)) & 1) === 1;
  }

  mark(vcpu: number, first: 'IRR0' | 'ISR0' | 'TMR0', vector: number, on: boolean, rule: RuleName): void {
    const { page } = this.of(vcpu);
    const at = numberOf(first) + (vector >> 5);
    const bit = 1 << (vector & 31);
    page[at] = (on ? page[at]! | bit : page[at]! & ~bit) >>> 0;
    if (this.blame) this.touch(vcpu, `${first.slice(0, -1)}${vector >> 5}`, rule);
  }

  /** The highest vector of IRR or ISR, or -1. */
  highest(vcpu: number, first: 'IRR0' | 'ISR0'): number {
    const { page } = this.of(vcpu);
    for (let word = 7; word >= 0; word--) {
      const bits = page[numberOf(first) + word]!;
      if (bits !== 0) return word * 32 + 31 - Math.clz32(bits);
    }
    return -1;
  }

  touch(vcpu: number | 'all', field: string, rule: RuleName): void {
    this.blame?.set(`${vcpu} ${field}`, rule);
  }

  exit(exit: ExitSeen): void {
    this.seen.exits.push(exit);
  }
}
