/** What a run does: each event takes its state on, and the thread, the handlers and the loop do what that asks for. */
import type { DsmProfile } from '../../../abi/dsm/profiles.ts';
import { type Duration, milliseconds } from '../../../base/duration.ts';
import { ArgumentError, DeadlineError, IoctlError } from '../../../base/errors.ts';
import { decodeExit } from '../../../exit/decode.ts';
import type { Exit } from '../../../exit/exit.ts';
import { type NativeNews, type NativeRecordPlan, type NativeVcpu, phases, translated } from '../../native.ts';
import type { RunContext, RunningVcpu } from '../host.ts';
import type { Controls } from './controls.ts';
import type { ExitLog } from './exit-log.ts';
import { Handlers } from './handlers.ts';
import { RecordDrain } from './record-drain.ts';
import { RecordReader } from './record-ring.ts';
import { type RecordOptions, recordPlan } from './records.ts';
import {
  begun,
  isAlive,
  isInGuest,
  next,
  type RunEffect,
  type RunEvent,
  type RunState,
  type ThreadState,
} from './state.ts';
import { Taker } from './taker.ts';

/** What the addon calls the thread's states. */
const threadStates: Record<number, Exclude<ThreadState, 'over'>> = {
  [phases.running]: 'guest',
  [phases.exit]: 'exit',
  [phases.paused]: 'paused',
  [phases.ringFull]: 'ringFull',
  [phases.failed]: 'failed',
  [phases.ended]: 'ended',
};

export interface RunSetup {
  readonly profile: DsmProfile;
  /** How long `next()` waits. */
  readonly deadline: Duration;
  readonly onExit: ((exit: Exit) => void | Promise<void>) | undefined;
  readonly record: RecordOptions | undefined;
  /** Where exits go that nobody has to look at. */
  readonly log: ExitLog | undefined;
}

export class RunDriver {
  readonly #vcpu: RunningVcpu;
  readonly #native: NativeVcpu;
  readonly #context: RunContext;
  readonly #setup: RunSetup;
  readonly #controls: Controls;
  readonly #kvmRun: DataView;
  /** The addon holds it weakly while the vCPU waits, so that a run which everybody forgot is collected. */
  readonly #onNews: NativeNews = (...news) => this.#news(...news);
  readonly #handlers = new Handlers((error) => this.happened({ is: 'fail', error }));
  readonly #records: RecordDrain | null = null;
  #state: RunState;
  /** The exit that lies in kvm_run, or did last. */
  #told = { seq: -1, ns: 0 };
  #taker: Taker | null = null;
  #settle!: { resolve: () => void; reject: (error: unknown) => void };
  /** Settles when the run is over. */
  readonly ended = new Promise<void>((resolve, reject) => {
    this.#settle = { resolve, reject };
  });

  /** Starts the thread. */
  constructor(vcpu: RunningVcpu, native: NativeVcpu, setup: RunSetup, context: RunContext, controls: Controls) {
    this.#vcpu = vcpu;
    this.#native = native;
    this.#context = context;
    this.#setup = setup;
    this.#controls = controls;
    this.#kvmRun = context.kvmRun;
    this.#state = begun(setup.onExit ? 'onExit' : 'nobody');
    const { record, profile } = setup;
    const plan = record ? recordPlan(record, profile, context.rip) : null;
    context.refuse();
    const { log } = setup;
    context.entries.entering(log !== undefined);
    const ring = translated(() =>
      log
        ? native.startInto(this.#onNews, vcpu.vcpuId, log.native)
        : startThread(native, this.#onNews, vcpu.vcpuId, plan),
    );
    if (record && plan && ring) {
      const reader = new RecordReader(ring, plan, profile);
      this.#records = new RecordDrain(native, reader, record.onRecords, this.#handlers, () => this.#turn());
    }
    this.#armRecords();
  }

  get state(): RunState {
    return this.#state;
  }

  /** When the last exit came: CLOCK_MONOTONIC in ns. */
  get ns(): number {
    return this.#told.ns;
  }

  #news(phase: number, errno: number, acked: number, held: boolean, seq: number, ns: number): void {
    // One that found no room in the ring is told of again.
    if (held && seq > this.#told.seq) {
      this.#context.entries.exited(ns);
      this.#told = { seq, ns };
    }
    const thread = threadStates[phase]!;
    this.#controls.settle(thread, acked);
    const error =
      errno === 0 ? null : new IoctlError('KVM_RUN', errno, { what: `vCPU ${this.#vcpu.vcpuId} cannot go on` });
    // It failed and was stopped before anybody had heard of the failure.
    if (error && thread === 'ended') this.happened({ is: 'fail', error });
    this.happened({ is: 'news', thread, held, seq });
    if (error && thread === 'failed') this.happened({ is: 'fail', error });
  }

  /** Takes the state on, and does what that asks for. */
  happened(event: RunEvent): void {
    const [state, effect] = next(this.#state, event);
    this.#state = state;
    if (effect) this.#do(effect);
  }

  #do(effect: RunEffect): void {
    switch (effect) {
      case 'enter':
        this.#context.entries.entering(this.#setup.log !== undefined || (this.#records !== null && this.#context.rip));
        this.#native.resume();
        this.#armRecords();
        return;
      case 'takeOut':
        this.#native.pause();
        return;
      case 'halt':
        this.#native.halt();
        return;
      case 'turn':
        this.#turn();
        return;
      case 'handOver':
        this.#handOver();
        return;
      case 'failLate':
        this.#failLate();
        return;
      case 'finish':
        this.#finish();
        return;
    }
  }

  /** What can be done now, after the records: nothing while a handler is at work, which comes back here. */
  #turn(): void {
    const { thread, failure } = this.#state;
    if (this.#handlers.atWork || thread === 'over') return;
    if (failure === null && this.#records?.drain(thread === 'guest')) return;
    this.happened({ is: 'turn' });
  }

  #handOver(): void {
    const exit = () => {
      const decoded = decodeExit(this.#kvmRun, this.#setup.profile);
      this.happened({ is: 'given' });
      return decoded;
    };
    const { onExit } = this.#setup;
    if (onExit) {
      const { seq } = this.#state.exit!;
      const call = () => onExit(exit());
      const pending = this.#handlers.call(
        'onExit',
        call,
        () => this.happened({ is: 'answered', seq }),
        () => this.#turn(),
      );
      // The handler may have closed the vCPU.
      if (!pending && !isAlive(this.#state)) this.#turn();
      return;
    }
    const taker = this.#taker!;
    this.#taker = null;
    taker.exit(exit());
    if (!isAlive(this.#state)) this.#turn();
  }

  #armRecords(): void {
    this.#records?.arm(() => this.#state.thread === 'guest');
  }

  /** The loop's `next()`. */
  next(): Promise<IteratorResult<Exit, undefined>> {
    if (this.#taker)
      throw new ArgumentError('next', 'next() was called while it waits for an exit', 'Await each exit in turn.');
    const ms = Math.min(milliseconds(this.#setup.deadline), this.#context.budget.left);
    const taker = new Taker(ms, () => this.happened({ is: 'late' }));
    if (this.#state.thread === 'over') taker.end(this.#state.failure);
    else {
      this.#taker = taker;
      this.happened({ is: 'next' });
    }
    return taker.result;
  }

  #failLate(): void {
    const { vcpuId } = this.#vcpu;
    const why = this.#state.asked === 'pause' ? ': it is paused' : '';
    const report = isInGuest(this.#state) ? '' : this.#vcpu.registerReport();
    const error = new DeadlineError(`vCPU ${vcpuId} did not exit by its deadline${why}`, report);
    this.happened({ is: 'fail', error });
  }

  #finish(): void {
    this.#records?.end();
    const { failure } = this.#state;
    if (failure) this.#settle.reject(failure.error);
    else this.#settle.resolve();
    this.#taker?.end(failure);
    this.#taker = null;
  }
}

function startThread(
  native: NativeVcpu,
  onNews: NativeNews,
  id: number,
  plan: NativeRecordPlan | null,
): ArrayBuffer | null {
  if (!plan) return native.start(onNews, id, null);
  const { reasons, capacity, unionBytes, ioBytes, watermark, rip } = plan;
  return native.start(onNews, id, Uint8Array.from(reasons), capacity, unionBytes, ioBytes, watermark, rip);
}
