/** One run of a machine: its vCPUs go on until what the script waits for, and a run that fails says why. */
import type { DsmProfile } from '../../abi/dsm/profiles.ts';
import { vectorName } from '../../abi/exceptions.ts';
import { DEFAULT_DEADLINE, type Duration, milliseconds } from '../../base/duration.ts';
import { EIO } from '../../base/errno.ts';
import { ArgumentError, DeadlineError, IoctlError, type KvmDsmError } from '../../base/errors.ts';
import { boolean, duration, optional, shape } from '../../base/shape.ts';
import { plural } from '../../base/text.ts';
import type { Exit } from '../../exit/exit.ts';
import { END_PORT } from '../../guest/end-guard.ts';
import { guestPorts } from '../../guest/protocol.ts';
import { type ExitLog, firstHalves, loggedReasons } from '../../kvm/vcpu/run/exit-log.ts';
import type { Vcpu } from '../../kvm/vcpu/vcpu.ts';
import type { TraceExit } from '../../trace/event.ts';
import {
  GuestAssertionError,
  GuestFailureError,
  GuestFaultError,
  NotReceivedError,
  ProgramEndError,
} from '../errors.ts';
import type { Trace } from '../expect/trace.ts';
import type { FailureReport } from '../failure/report.ts';
import type { Ending, Lost } from '../failure/types.ts';
import type { Session } from '../session.ts';
import type { RipSamples } from './rip-samples.ts';
import type { RunHooks, RunNodes } from './run-hooks.ts';
import { runInline } from './run-inline.ts';
import { runThreads } from './run-threads.ts';
import { type Goal, goalOf, type Until } from './until.ts';
import type { MachineVcpu } from './vcpu.ts';

/** What `machine.run()` takes. */
export interface RunUntilOptions {
  /** When the run is over. Default: every vCPU with a program is idle in HLT. */
  until?: Until;
  /** From now. Default 10 s. */
  deadline?: Duration;
  /**
   * Each of the machine's handlers tells the host each time that it has run, by an exit that the trace has (guestPorts.handled, behind its EOI).
   * Default: only those that `until: { handled }` waits for. A program that handles a vector itself tells nothing; nor does one in real mode.
   */
  tell?: boolean;
}

const runOptions = shape<RunUntilOptions>('run() takes', {
  // What it says is checked with the vCPUs that take part.
  until: optional((_, value) => value as Until),
  deadline: optional(duration),
  tell: optional(boolean),
});

/** What a run needs of its machine. */
export interface Runnable {
  readonly session: Session;
  readonly trace: Trace;
  readonly vcpus: readonly MachineVcpu[];
  readonly samples: RipSamples;
  /** Where exits go that nobody has to look at; `null`: this kernel cannot tell the registers without being asked. */
  readonly log: ExitLog | null;
  readonly profile: DsmProfile;
  /** Other nodes that it has. */
  readonly nodes?: RunNodes | undefined;
  /** Somebody closes the machine. */
  readonly closing: AbortSignal;
  record(vcpu: Vcpu, exit: Exit): TraceExit;
  /** Tells of the exits that nobody had to look at. */
  look(): void;
  /** No vCPU runs any more. */
  settle(): void;
  /** What the machine is like now, and what that says of an end like this. */
  report(ending: Ending): FailureReport;
}

/** Source: what `machine.run` says. */
export async function run(machine: Runnable, options: RunUntilOptions): Promise<void> {
  const { until = 'halted', deadline = DEFAULT_DEADLINE, tell = false } = runOptions.take(options);
  const programmed = machine.vcpus.filter((one) => one.programmed);
  // Of a shard's machine some run in other processes.
  const running = programmed.filter(({ runsHere }) => runsHere);
  const here = running.map(({ id }) => id);
  const ids = programmed.map(({ id }) => id);
  const goal = goalOf(until, ids, machine.profile, here);
  if (here.length < ids.length || machine.nodes?.done) refuseSharedCount(until);
  const limit = milliseconds(deadline);
  if (programmed.length === 0)
    throw new ArgumentError('run', 'No vCPU has a program', 'Call machine.vcpu(0).program(...) first.');
  const telling = tell ? running : whoTells(goal, running);
  const vcpus = running.map(({ vcpu }) => vcpu);
  const hooks = hooksOf(machine, vcpus, goal, limit);
  machine.samples.clear();
  const { size: from, length: before } = machine.trace;
  let inTime: boolean;
  try {
    try {
      await machine.nodes?.begin(limit);
      for (const one of telling) one.tellsOf(tell ? 'all' : goal.handled!.vector);
      if (goal.ofEach && vcpus.length === 0) machine.nodes?.done?.();
      inTime = await (vcpus.length === 1 && !machine.nodes ? runInline(vcpus[0]!, hooks) : runThreads(vcpus, hooks));
      // What the guests have sent before the end comes to each of its nodes.
      if (inTime && machine.nodes) inTime = await machine.nodes.settle(limit);
    } finally {
      for (const one of telling) if (!one.vcpu.closed) one.tellsOf(null);
      machine.settle();
    }
  } catch (error) {
    // Every vCPU is out of the guest by now: what each of them is like can be told.
    if (error instanceof FatalExit) throw failed(machine, error.event);
    if (!(error instanceof IoctlError)) throw error;
    if (error.errno === EIO) throw new GuestFailureError(vmIsDead, machine.report({ kind: 'ioctl' }));
    if (error.ioctl !== 'KVM_RUN') throw error;
    throw new IoctlError('KVM_RUN', error.errno, { failure: machine.report({ kind: 'ioctl' }) });
  }
  if (!inTime) throw late(machine, goal, until, limit, { from, before });
}

/** What is counted over all vCPUs nobody can tell who sees some of them. */
function refuseSharedCount(until: Until): void {
  if (typeof until !== 'object' || 'vcpu' in until) return;
  const counts = 'exits' in until ? until.exits : 'count' in until ? until.count : 1;
  if (counts === undefined || counts === 1) return;
  throw new ArgumentError(
    'until',
    `until counts ${counts} over vCPUs that run in several processes`,
    'Name the vCPU that is to count: `vcpu`.',
  );
}

/** Those whose handlers are to tell the host. */
function whoTells({ handled }: Goal, running: readonly MachineVcpu[]): MachineVcpu[] {
  if (!handled) return [];
  const { vector, vcpu } = handled;
  const meant = running.filter(({ id }) => vcpu === undefined || id === vcpu);
  const telling = meant.filter((one) => whyUncounted(one, vector) === undefined);
  const [first] = meant;
  if (telling.length > 0 || !first) return telling;
  throw new ArgumentError(
    'until.handled',
    `vCPU ${first.id} cannot tell that it has handled ${vectorName(vector)}: ${whyUncounted(first, vector)}`,
    "Wait for a sync point in the program's own handler.",
  );
}

function whyUncounted(one: MachineVcpu, vector: number): string | undefined {
  return one.uncounted(vector) ?? (one.loaded?.idt ? undefined : 'it was started with an empty IDT (`idt: false`)');
}

function hooksOf(machine: Runnable, vcpus: readonly Vcpu[], goal: Goal, limit: number): RunHooks {
  const { budget } = machine.session;
  const { nodes } = machine;
  const log = beginLog(machine, goal);
  const isReached = (event: TraceExit): boolean => {
    if (log === null || nodes || goal.native!.is === 'none') return goal.reached(event);
    if (log.endedBy(event.seq)) return true;
    // Whether this is the code behind a program is not for the addon to say.
    const isUncounted = event.exit.name === 'KVM_EXIT_IO' && event.exit.port === END_PORT;
    return isUncounted && goal.counts(event) && log.count(event.seq);
  };
  return {
    budget,
    log: log ?? undefined,
    isLate: ({ vcpuId }) => log !== null && !nodes && log.over >= 0 && log.parked(vcpuId) > log.over,
    look: () => machine.look(),
    untilIdle: goal.idle.length > 0,
    idle: vcpus.filter(({ vcpuId }) => goal.idle.includes(vcpuId)),
    nodes,
    closing: machine.closing,
    limit: Math.min(limit, budget.left),
    onExit(vcpu, exit) {
      const event = machine.record(vcpu, exit);
      // Code that is not the program's own fulfils nothing that a script waits for.
      const isOver = event.word?.kind !== 'end' && isReached(event);
      if (!isOver && isFatal(event)) throw new FatalExit(event);
      if (!isOver || !goal.ofEach || !nodes?.done) return isOver;
      // The other processes' vCPUs may still need these.
      nodes.done();
      return false;
    },
    isLeft: (vcpu, exit) =>
      exit.name === 'KVM_EXIT_HLT' && !machine.vcpus.find((one) => one.vcpu === vcpu)?.giveInterrupt(),
    onLateExit(vcpu, exit) {
      const event = machine.record(vcpu, exit);
      if (event.word?.kind === 'assert') throw new FatalExit(event);
    },
    sample: (vcpu) => machine.samples.take(vcpu),
  };
}

/** `null`: each exit of this run is looked at. */
function beginLog({ log, nodes, profile }: Runnable, { native }: Goal): ExitLog | null {
  if (log === null || native === null) return null;
  const ports = { ...guestPorts, end: END_PORT };
  if (!nodes) {
    log.begin(loggedReasons(profile), native, ports);
    return log;
  }
  // What a node has to know of is looked at, and a goal may be for one node alone: the log takes what neither can be about.
  const half = native.is === 'exits' || native.is === 'reason' ? undefined : firstHalves(profile);
  if (half === undefined) return null;
  log.begin([], { is: 'none' }, ports, half);
  return log;
}

/** Ends a run: its vCPU cannot go on, or must not. */
class FatalExit {
  readonly event: TraceExit;

  constructor(event: TraceExit) {
    this.event = event;
  }
}

const fatal: readonly Exit['name'][] = ['KVM_EXIT_SHUTDOWN', 'KVM_EXIT_FAIL_ENTRY', 'KVM_EXIT_INTERNAL_ERROR'];

function isFatal({ exit, word }: TraceExit): boolean {
  return word?.kind === 'assert' || word?.kind === 'fault' || word?.kind === 'end' || fatal.includes(exit.name);
}

function failed(machine: Runnable, event: TraceExit): KvmDsmError {
  const { vcpu: vcpuId, word, fault } = event;
  const failure = machine.report({ kind: 'exit', event });
  const message = failure.causes[0]!;
  if (word?.kind === 'assert') return new GuestAssertionError(message, { vcpuId, actual: word.actual }, failure);
  if (word?.kind === 'fault') return new GuestFaultError(message, { vcpuId, vector: word.vector, fault }, failure);
  if (word?.kind === 'end') return new ProgramEndError(message, vcpuId, failure);
  return new GuestFailureError(message, failure);
}

/** @param began what the trace had when the run began: `from` events, `before` of them exits */
function late(
  machine: Runnable,
  goal: Goal,
  until: Until,
  limit: number,
  { from, before }: { from: number; before: number },
): KvmDsmError {
  const spent = machine.session.budget.left === 0 ? 'the time that --timeout allows' : `${limit} ms`;
  const failure = machine.report({ kind: 'deadline', until, from });
  const exits = machine.trace.length - before;
  const came = `${plural(exits, 'exit')} until then${before > 0 ? `, and ${before} before this run` : ''}`;
  const what = `The guest did not come to ${goal.description} within ${spent}; ${came}`;
  const message = [...failure.causes.slice(0, 1), what].join('\n');
  const { lost } = failure;
  if (goal.handled && lost && isWhatItWaitsFor(goal.handled, lost))
    return new NotReceivedError(message, lost, { kinds: ['handled'], seen: 0 }, failure);
  return new DeadlineError(message, failure, goal.waitsForExits);
}

function isWhatItWaitsFor({ vector, vcpu }: NonNullable<Goal['handled']>, lost: Lost): boolean {
  return lost.vector === vector && (vcpu === undefined || vcpu === lost.vcpuId);
}

/** KVM answers every ioctl of a VM that it has marked as dead by EIO. Source: kvm_vm_dead in the kernel. */
const vmIsDead =
  'KVM has given this VM up (EIO): a vCPU took an SMI and has no memory in the address space of SMM, or KVM found a bug ' +
  "in itself, which the kernel's log tells";
