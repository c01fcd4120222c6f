/** `m.explore()`: a program under many schedules, or under every one, and what must hold at the end of each. */
import { setImmediate as eventLoop } from 'node:timers/promises';
import { vectorName } from '../../abi/exceptions.ts';
import { checkFunction, checkList, checkObject } from '../../base/check.ts';
import { milliseconds } from '../../base/duration.ts';
import { ArgumentError, DeadlineError, KvmDsmError } from '../../base/errors.ts';
import { plural, show } from '../../base/text.ts';
import type { Exit } from '../../exit/exit.ts';
import { describeExit } from '../../exit/text.ts';
import { STEP_PORT } from '../../guest/step-port.ts';
import type { GuestMemory } from '../../kvm/guest-memory.ts';
import type { Vcpu } from '../../kvm/vcpu/vcpu.ts';
import type { Vm } from '../../kvm/vm/vm.ts';
import { pctSchedules, randomSchedules } from '../../schedule/choose.ts';
import { everySchedule } from '../../schedule/enumerate.ts';
import { InvariantError, ScheduleLengthError } from '../../schedule/errors.ts';
import { follow, parseSchedule, replay, scheduleText } from '../../schedule/replay.ts';
import { joined, switches } from '../../schedule/shrink.ts';
import { VmWorld } from '../../schedule/vm/vm-world.ts';
import type { Schedule } from '../../schedule/world.ts';
import { ExpectationError } from '../errors.ts';
import type { MachineVcpu } from '../machine/vcpu.ts';
import { Random } from '../random.ts';
import type { Session } from '../session.ts';
import {
  type Explored,
  type ExploredProgram,
  type ExploreOptions,
  exploreOptions,
  type Invariant,
  type ScheduleEnd,
} from './options.ts';
import { LoadedSteps } from './programs.ts';
import { Ear, ScheduleStory, type ToldStep } from './story.ts';

const DEFAULT_LONGEST = 10_000;
const DEFAULT_DEADLINE = '60s';
const DEFAULT_DEPTH = 3;
/** So long, in ms, between two looks at the event loop. */
const TURN = 50;
/** Schedules that are run at most to make one simpler. */
const SHRINKING = 400;

/** A machine, as far as exploring uses what everybody sees of it. */
export interface ExploredMachine {
  readonly vm: Vm;
  readonly irqchip: 'full' | 'split' | 'none';
  readonly vcpus: readonly MachineVcpu[];
  vcpu(id: number): MachineVcpu;
  readonly memory: GuestMemory;
  readonly shared: number;
}

/** What exploring needs of a machine. */
export interface Explorable<M extends ExploredMachine> {
  readonly machine: M;
  readonly session: Session;
  /** Lets the handlers of all vectors tell the host when they have run. */
  tellAll(told: boolean): void;
  /** Answers a read that nobody has. */
  answer(vcpu: Vcpu, exit: Exit): void;
}

/** Source: what `machine.explore` says. */
export async function explore<M extends ExploredMachine>(
  of: Explorable<M>,
  programs: readonly (ExploredProgram | null)[],
  invariant: Invariant<M>,
  options: ExploreOptions = {},
): Promise<Explored> {
  const given = exploreOptions.take(options);
  checkFunction('invariant', invariant);
  const { machine } = of;
  if (machine.irqchip === 'none')
    throw new ArgumentError('explore', 'A machine without local APICs is not explored', 'Leave `irqchip: "none"` out.');
  checkList('programs', programs, machine.vcpus.length);
  const loaded = programs.flatMap((program, id) =>
    program === null
      ? []
      : [new LoadedSteps(machine.vcpu(id), checkObject(`programs[${id}]`, program), given.steps ?? 'instruction')],
  );
  if (loaded.length === 0) throw new ArgumentError('programs', 'There is no program', 'Give one for each vCPU.');
  of.tellAll(true);
  try {
    using exploration = new Exploration(of, loaded, invariant, given);
    return await exploration.run();
  } finally {
    if (!machine.vm.closed) of.tellAll(false);
  }
}

class Exploration<M extends ExploredMachine> implements Disposable {
  readonly #of: Explorable<M>;
  readonly #loaded: readonly LoadedSteps[];
  readonly #invariant: Invariant<M>;
  readonly #options: ExploreOptions;
  readonly #longest: number;
  readonly #ends: number;
  readonly #limit: number;
  readonly #world: VmWorld;
  /** Of the step that is told: what came out of the guest. */
  #heard: Ear | null = null;
  #schedules = 0;
  #steps = 0;
  /** What the observer was told of. */
  #toldOf = { schedules: 0, steps: 0 };

  constructor(of: Explorable<M>, loaded: readonly LoadedSteps[], invariant: Invariant<M>, options: ExploreOptions) {
    this.#of = of;
    this.#loaded = loaded;
    this.#invariant = invariant;
    const { exploring } = of.session;
    this.#options = { ...options, ...exploring };
    this.#limit = exploring.limit ?? Number.POSITIVE_INFINITY;
    this.#longest = options.longest ?? DEFAULT_LONGEST;
    this.#ends =
      performance.now() + Math.min(milliseconds(options.deadline ?? DEFAULT_DEADLINE), of.session.budget.left);
    const { steps = 'instruction' } = options;
    for (const { one } of loaded) one.vcpu.requestSyncRegs({ regs: true });
    const first = loaded.map(({ one }) => {
      const toFirst = steps === 'instruction' && one.loaded!.start === 'now';
      return {
        rip: toFirst ? toFirstPoint(one.vcpu) : Number(one.vcpu.getRegs().rip),
        interrupts: one.loaded!.interrupts,
        isPoint: toFirst,
      };
    });
    // The first of all points stands where a program begins.
    const beginOf = ({ one }: LoadedSteps) => (one.loaded!.mode === 'real16' ? 0 : one.entry);
    const finishesOut = first.some(({ rip, isPoint }, index) => isPoint && rip !== beginOf(loaded[index]!));
    this.#world = new VmWorld({
      vm: of.machine.vm,
      vcpus: loaded.map(({ one }) => one.vcpu),
      others: of.machine.vcpus.filter((one) => !loaded.some((program) => program.one === one)).map(({ vcpu }) => vcpu),
      everyExit: steps === 'exit',
      first: first.map(({ rip, interrupts, isPoint }) => ({
        rip: isPoint && finishesOut ? rip - POINT_SIZE : rip,
        interrupts,
      })),
      finishesOut,
      facts: loaded.map((program) =>
        steps === 'instruction' ? program.facts(of.machine.shared, of.machine.memory.size) : new Map(),
      ),
      answer: (vcpu, exit) => of.answer(vcpu, exit),
      exit: (vcpu, exit) => this.#heard?.hear(vcpu.vcpuId, exit),
      left: () => this.#ends - performance.now(),
    });
  }

  async run(): Promise<Explored> {
    const { schedule, schedules = 'all' } = this.#options;
    if (schedule !== undefined) return this.#one(parseSchedule(schedule));
    const seed = typeof schedules === 'object' && !('preemptions' in schedules) ? this.#seed() : undefined;
    let turn = performance.now() + TURN;
    let complete = seed === undefined;
    for (const came of this.#all(seed)) {
      this.#schedules += 1;
      this.#steps += came.length;
      const why = this.#verdict(came);
      if (why !== null) {
        this.#tell();
        throw this.#violated(came, why);
      }
      const now = performance.now();
      if (this.#schedules >= this.#limit) {
        complete = false;
        break;
      }
      if (now >= this.#ends) throw this.#late();
      if (now < turn) continue;
      this.#tell();
      await eventLoop();
      if (this.#of.machine.vm.closed) throw this.#late();
      turn = performance.now() + TURN;
    }
    return this.#explored(complete, seed);
  }

  #seed(): number {
    return this.#options.seed ?? this.#of.session.random.seed;
  }

  #all(seed: number | undefined): Iterable<Schedule> {
    const { schedules = 'all' } = this.#options;
    const longest = this.#longest;
    const world = this.#world;
    if (schedules === 'all') return everySchedule(world, { longest });
    if (schedules === 'distinct') return everySchedule(world, { longest, distinct: true });
    if ('preemptions' in schedules) return everySchedule(world, { longest, preemptions: schedules.preemptions });
    const random = new Random(seed!);
    const draw = (min: number, max: number) => random.integer(min, max);
    if ('random' in schedules) return randomSchedules(world, schedules.random, draw, longest);
    const { pct: count, depth = DEFAULT_DEPTH } = schedules;
    return pctSchedules(world, { count, depth, vcpus: this.#loaded.map(({ one }) => one.id) }, draw, longest);
  }

  #one(schedule: Schedule): Explored {
    replay(this.#world, schedule);
    this.#schedules = 1;
    this.#steps = schedule.length;
    const why = this.#verdict(schedule);
    this.#tell();
    if (why !== null) throw this.#told(schedule, why, '');
    return this.#explored(false, undefined);
  }

  #explored(complete: boolean, seed: number | undefined): Explored {
    this.#tell();
    const { digest } = this.#world;
    return {
      schedules: this.#schedules,
      steps: this.#steps,
      complete,
      ...(seed !== undefined && { seed }),
      digest: digest.toString(16).padStart(8, '0'),
    };
  }

  /** Why the invariant does not hold where the world stands now; `null` if it does. */
  #verdict(schedule: Schedule): Why | null {
    const world = this.#world;
    // What an `in` reads is in no register yet; of an `out` nothing is missing but RIP behind it.
    if (this.#options.steps === 'exit') world.settle();
    if (world.broken !== null) return { text: world.broken };
    let answer: unknown;
    try {
      answer = this.#invariant(this.#of.machine, new End(schedule, world));
    } catch (error) {
      if (!isVerdict(error)) throw error;
      return { text: error.message, cause: error };
    }
    if (answer === undefined || answer === true) return null;
    if (answer === false) return { text: 'the invariant is false' };
    if (typeof answer === 'string') return { text: answer };
    if (answer instanceof Promise) answer.catch(() => {});
    throw new ArgumentError(
      'invariant',
      `The invariant answers ${show(answer)}`,
      'Answer true or nothing if it holds, false or a text if it does not; at once, for no promise is waited for.',
    );
  }

  #violated(schedule: Schedule, why: Why): InvariantError {
    const found = this.#schedules;
    if (!this.#fails(schedule)) {
      const again =
        ' It did not come again under the same schedule: something beside it decides, such as a timer or a device.';
      return this.#told(schedule, why, again);
    }
    const best = this.#simplest(schedule);
    replay(this.#world, best);
    this.#schedules = found;
    return this.#told(best, this.#verdict(best) ?? why, '');
  }

  /** The same with fewer changes from one vCPU to another, as far as a few hundred schedules find it. */
  #simplest(schedule: Schedule): Schedule {
    let left = SHRINKING;
    const mayGoOn = () => left-- > 0 && performance.now() < this.#ends;
    const run = (candidate: Schedule): Schedule | null => {
      if (!mayGoOn()) return null;
      const came = follow(this.#world, candidate, this.#longest);
      return this.#verdict(came) === null ? null : came;
    };
    const best = joined(schedule, run);
    for (let preemptions = 0; preemptions < switches(best); preemptions++)
      try {
        for (const came of everySchedule(this.#world, { longest: this.#longest, preemptions })) {
          if (!mayGoOn()) return best;
          if (this.#verdict(came) !== null) return switches(came) < switches(best) ? came : best;
        }
      } catch (error) {
        if (!(error instanceof ScheduleLengthError)) throw error;
      }
    return best;
  }

  #fails(schedule: Schedule): boolean {
    replay(this.#world, schedule);
    return this.#verdict(schedule) !== null;
  }

  /** Tells of a schedule that fails, by running it once more. */
  #told(schedule: Schedule, { text, cause }: Why, more: string): InvariantError {
    const ear = new Ear();
    const told: ToldStep[] = [];
    let tellLast = () => {};
    this.#heard = ear;
    replay(this.#world, schedule, (who) => {
      tellLast();
      const loaded = this.#loaded.find(({ one }) => one.id === who)!;
      const instruction = loaded.textAt(this.#world.ripOf(who));
      tellLast = () => {
        const taken = ear.handled ?? loaded.handlerAt(this.#world.ripOf(who));
        const first = taken === undefined ? instruction : `takes ${vectorName(taken)}`;
        told.push({ who, text: [first, ...ear.take()].join(': ') });
      };
    });
    tellLast();
    this.#heard = null;
    this.#world.settle();
    const shown = scheduleText(schedule);
    const story = new ScheduleStory(
      text,
      shown,
      told,
      this.#loaded.map(({ one }) => one),
    );
    const where = `under a schedule of ${plural(schedule.length, 'step')}, the ${ordinal(this.#schedules)} that was run`;
    const what = { schedule: shown, schedules: this.#schedules, ...(cause !== undefined && { cause }) };
    return new InvariantError(`${text}: ${where}.${more}`, what, story);
  }

  #late(): DeadlineError {
    return new DeadlineError(
      `The time was over after ${plural(this.#schedules, 'schedule')} and ${plural(this.#steps, 'step')}; under each of them the invariant held`,
      'Give a longer `deadline` (and --timeout), or fewer schedules: distinct, { preemptions: 2 }, { random: 1000 }.',
    );
  }

  #tell(): void {
    const now = { schedules: this.#schedules, steps: this.#steps };
    const { schedules, steps } = this.#toldOf;
    this.#toldOf = now;
    if (now.schedules > schedules)
      this.#of.session.observer.explored?.({ schedules: now.schedules - schedules, steps: now.steps - steps });
  }

  [Symbol.dispose](): void {
    if (this.#of.machine.vm.closed) return;
    // What is explored next begins where this began.
    this.#world.begin();
    this.#world[Symbol.dispose]();
  }
}

/** Made of what the scheduler has when somebody looks: most invariants do not. */
class End implements ScheduleEnd {
  readonly #schedule: Schedule;
  readonly #world: VmWorld;

  constructor(schedule: Schedule, world: VmWorld) {
    this.#schedule = schedule;
    this.#world = world;
  }

  get schedule(): string {
    return scheduleText(this.#schedule);
  }

  get done(): readonly number[] {
    return this.#world.done;
  }
}

/** Why an invariant does not hold. */
interface Why {
  readonly text: string;
  readonly cause?: unknown;
}

/** What a script throws to say so; a slip in the script itself is no verdict. */
function isVerdict(error: unknown): error is Error {
  if (error instanceof KvmDsmError) return error instanceof ExpectationError;
  return error instanceof Error && (error.name === 'AssertionError' || error.constructor === Error);
}

function ordinal(count: number): string {
  const ending = { 1: 'st', 2: 'nd', 3: 'rd' }[(count % 10) as 1];
  return `${count}${ending !== undefined && Math.floor(count / 10) % 10 !== 1 ? ending : 'th'}`;
}

/** Bytes of the `out` that is a point. */
const POINT_SIZE = 2;

/** Runs a stepped program up to the point before its first instruction, and tells where that is. */
function toFirstPoint(vcpu: Vcpu): number {
  const exit = vcpu.run();
  if (exit.name !== 'KVM_EXIT_IO' || exit.port !== STEP_PORT)
    throw new ArgumentError(
      'programs',
      `vCPU ${vcpu.vcpuId} does not come to its program: ${describeExit(exit)}`,
      'Explore with nothing pending.',
    );
  return Number(vcpu.exitRegs().rip);
}
