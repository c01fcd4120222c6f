import { isDeepStrictEqual } from 'node:util';
import type { DsmProfile } from '../../abi/dsm/profiles.ts';
import { IoctlError, KvmDsmError } from '../../base/errors.ts';
import { plural } from '../../base/text.ts';
import type { Exit } from '../../exit/exit.ts';
import { describeExit } from '../../exit/text.ts';
import { Kvm } from '../../kvm/kvm.ts';
import { diagram } from '../../picture/diagram.ts';
import { eventLine, inTime, machineLine, stateLine, type TraceLine } from '../../picture/file/records.ts';
import { pictureOf, unknownTarget } from '../../picture/picture.ts';
import { Machine, type MachineOptions } from '../../script/machine/machine.ts';
import { Random } from '../../script/random.ts';
import { Session } from '../../script/session.ts';
import type { TraceExit } from '../../trace/event.ts';
import { CheckError, Skipped } from '../errors.ts';
import type { TestedHost } from './needs.ts';

/**
 * What a check works with. Machines are new for each check, and closed after it. A check has to prove that its guests
 * ran: each of its machines made an exit, or it counted an effect of them.
 */
export class CheckContext {
  readonly #world: TestedHost;
  readonly #session = Session.current;
  readonly #machines: Machine[] = [];
  readonly #own: Disposable[] = [];
  readonly #notes: string[] = [];
  readonly #driven: { vcpu: number; exit: Exit }[] = [];
  #effects = 0;
  /** Depends on the run's seed, the check's id and the round alone. */
  readonly random: Random;

  /** `--thorough`: it may take twenty times its deadline, and tries as much as it can. */
  readonly thorough: boolean;

  private constructor(world: TestedHost, seed: number, thorough: boolean) {
    this.#world = world;
    this.thorough = thorough;
    this.random = new Random(seed);
  }

  /** @internal For the runner. */
  static of(world: TestedHost, seed: number, thorough = false): CheckContext {
    return new CheckContext(world, seed, thorough);
  }

  /** What is known of the host that it runs on. */
  get facts(): TestedHost['facts'] {
    return this.#world.facts;
  }

  /** The numbers of the run's profile. */
  get profile(): DsmProfile {
    return this.#session.profile;
  }

  /** A new machine, on the device and with the profile of the run. */
  async machine(options: MachineOptions = {}): Promise<Machine> {
    const made = this.#session.run(() => new Machine(options));
    this.#machines.push(made);
    return this.own(made);
  }

  /** The KVM device, for a check that builds its VM by hand; such a check counts an effect. */
  kvm(): Kvm {
    return this.own(Kvm.open(this.#session.device, { profile: this.profile }));
  }

  /** Disposes it after the check, the last one first. */
  own<T extends Disposable>(thing: T): T {
    this.#own.push(thing);
    return thing;
  }

  /**
   * Counts something that can only come from a guest that ran or a kernel that answered: interrupts taken, words that the
   * guest wrote, an ioctl's answer. 0 proves nothing.
   */
  effect(what: string, count = 1): void {
    this.#effects += count;
    this.#notes.push(`${what}: ${count}`);
  }

  /** An exit of a vCPU that the check drives by itself, past its machine. */
  exit(vcpu: number, exit: Exit): void {
    this.#driven.push({ vcpu, exit });
    this.#effects += 1;
  }

  /** A line that stands in the report if the check does not pass. */
  log(line: string): void {
    this.#notes.push(line);
  }

  /** Throws CheckError, with both sides, unless they are deeply equal. `what`: a noun phrase. */
  equal<T>(what: string, actual: T, expected: T): void {
    if (!isDeepStrictEqual(actual, expected)) throw CheckError.differs(what, actual, expected);
  }

  /** Throws CheckError unless the condition holds. `what`: what is wrong if it does not. */
  ok(condition: unknown, what: string): void {
    if (!condition) throw new CheckError(what);
  }

  /** Throws CheckError: the claim does not hold. */
  fail(what: string): never {
    throw new CheckError(what);
  }

  /** Ends the check: it cannot say anything here. Better a need, where one can tell. */
  skip(reason: string): never {
    throw new Skipped(reason);
  }

  /** What the kernel answers to an ioctl: `'0'` or another number, or the errno's name. Counts as an effect. */
  answer(what: string, ioctl: () => unknown): string {
    let answer: string;
    try {
      const value = ioctl();
      answer = typeof value === 'number' || typeof value === 'bigint' ? String(value) : '0';
    } catch (error) {
      if (!(error instanceof IoctlError)) throw error;
      answer = error.errnoName;
    }
    this.effect(`${what} answered ${answer}`);
    return answer;
  }

  /** The error of this package that an action throws; CheckError if it throws none. */
  thrown(what: string, action: () => unknown): KvmDsmError {
    try {
      action();
    } catch (error) {
      if (error instanceof KvmDsmError) return error;
      throw error;
    }
    throw new CheckError(`${what} did not fail`);
  }

  /** @internal Why nothing proves that a guest ran or the kernel answered; `null` if something does. For the runner. */
  provedNothing(): string | null {
    if (this.#effects > 0) return null;
    if (this.#machines.length === 0) return 'the check made no machine and counted no effect';
    const idle = this.#machines.findIndex(({ trace }) => trace.length === 0);
    if (idle < 0) return null;
    const which = this.#machines.length === 1 ? 'its machine' : `machine ${idle + 1} of ${this.#machines.length}`;
    return `${which} made no exit, and the check counted no effect`;
  }

  /** @internal Exits of all machines. For the runner. */
  get exits(): number {
    return this.#machines.reduce((sum, { trace }) => sum + trace.length, this.#driven.length);
  }

  /** @internal What helps to understand a failure. For the runner. @param drawn false: without diagrams, for somebody has one */
  report(drawn = true): string[] {
    const traces = this.#machines.flatMap(({ trace }, i) => {
      const lines = trace.toString().split('\n').slice(-LAST_EXITS);
      if (trace.length === 0 && this.#driven.length > 0) return [];
      return [
        `machine ${i + 1}: ${plural(trace.length, 'exit')}${trace.length > 0 ? ', the last ones:' : ''}`,
        ...lines.filter(Boolean),
      ];
    });
    const driven = this.#driven.slice(-LAST_EXITS).map(({ vcpu, exit }) => `vCPU ${vcpu}  ${describeExit(exit)}`);
    if (driven.length > 0)
      driven.unshift(`driven by the check: ${plural(this.#driven.length, 'exit')}, the last ones:`);
    return [...this.#notes.slice(-LAST_NOTES), ...traces, ...driven, ...(drawn ? this.#diagrams() : [])];
  }

  /**
   * What happened in its machines, and what it drove by itself as one more: lines of a trace file. For the runner.
   *
   * @param kernel has the kernel's own events of that time
   *
   * @internal
   */
  traceLines(kernel?: { lines(machine: number | undefined): TraceLine[] }): TraceLine[] {
    const only = this.#machines.length === 1 && this.#driven.length === 0 ? 1 : undefined;
    return inTime(this.#ownLines(), kernel?.lines(only) ?? []);
  }

  #ownLines(): TraceLine[] {
    const lines = this.#machines.flatMap(({ irqchip, targets, trace }, at) => {
      if (trace.size === 0 && this.#driven.length > 0) return [];
      const first = Math.max(0, trace.size - MOST_TRACED);
      const events = Array.from({ length: trace.size - first }, (_, i) => eventLine(at + 1, trace.event(first + i)));
      const made = machineLine(at + 1, 1, { born: trace.born, irqchip, targets });
      return [made, ...events, ...(targets.length > 0 ? [stateLine(at + 1, trace.size, targets)] : [])];
    });
    if (this.#driven.length === 0) return lines;
    const own = this.#machines.length + 1;
    const targets = [...new Set(this.#driven.map(({ vcpu }) => vcpu))].sort((a, b) => a - b).map(unknownTarget);
    const made = machineLine(own, 1, { born: 0n, irqchip: 'full', targets });
    return [
      ...lines,
      made,
      ...this.#drivenEvents()
        .slice(-MOST_TRACED)
        .map((event) => eventLine(own, event)),
    ];
  }

  #drivenEvents(): TraceExit[] {
    return this.#driven.map(({ vcpu, exit }, seq) => ({ seq, ns: seq, vcpu, rip: 0n, exit }));
  }

  #diagrams(): string[] {
    const events = this.#drivenEvents();
    const made = this.#machines.map((machine) => machine.diagram());
    const drawn = [...made, diagram(pictureOf(events, [])).join('\n')].filter((text) => text !== '');
    return drawn.slice(-LAST_DIAGRAMS);
  }

  /** @internal Closes everything. For the runner. Throws what the first failing one throws, when all are closed. */
  close(): void {
    const errors: unknown[] = [];
    for (const thing of this.#own.splice(0).reverse()) {
      try {
        thing[Symbol.dispose]();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }
}

const LAST_EXITS = 12;
const LAST_NOTES = 20;
const LAST_DIAGRAMS = 2;
/** Events of a machine in a trace: two megabytes or so. */
const MOST_TRACED = 10_000;
