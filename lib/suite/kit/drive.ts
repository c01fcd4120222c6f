/** vCPUs driven by a check itself: the one loop from exit to exit. */
import { setImmediate } from 'node:timers/promises';
import type { Exit } from '../../exit/exit.ts';
import { describeExit } from '../../exit/text.ts';
import { guestPorts } from '../../guest/protocol.ts';
import type { Vcpu, VcpuRun } from '../../kvm/vcpu/vcpu.ts';
import type { Machine } from '../../script/machine/machine.ts';
import { CheckError } from '../errors.ts';
import type { CheckContext } from './context.ts';
import { DONE_PORT } from './guests.ts';

const MAX_EXITS = 4096;

export interface DriveOptions {
  /** Is called at each exit before the last one. */
  look?: ((exit: Exit) => void) | undefined;
  /** No guest that is right makes more exits. Default 4096. */
  most?: number;
  /** What is wanted, for the failure: `of port 0x10`. */
  what?: string;
}

/**
 * The loop of every check that drives a vCPU by itself: from exit to exit, up to one that is wanted. `next` enters the
 * guest. Throws CheckError if the wanted one does not come; what `next` throws.
 */
export function driveUntil(
  next: () => Exit,
  isWanted: (exit: Exit) => boolean,
  { look, most = MAX_EXITS, what = 'that was waited for' }: DriveOptions = {},
): { before: Exit[]; last: Exit } {
  const before: Exit[] = [];
  for (let exit = next(); ; exit = next()) {
    if (isWanted(exit)) return { before, last: exit };
    before.push(exit);
    look?.(exit);
    if (before.length >= most) throw new CheckError(`${most} exits, and none ${what}`);
  }
}

/**
 * One vCPU, driven by the check itself: one KVM_RUN after the other, on this thread. Between a guest's write and its exit
 * no signal comes of it, as one may of a run that lets the event loop have its turns.
 */
export class Driver {
  /** The vCPU that it drives. */
  readonly vcpu: Vcpu;
  readonly #ctx: CheckContext;

  constructor(ctx: CheckContext, machine: Machine, id = 0) {
    this.vcpu = machine.vcpu(id).vcpu;
    this.#ctx = ctx;
  }

  /** Up to the next exit. Throws CheckError if the guest cannot go on; DeadlineError. */
  next(): Exit {
    return this.#saw(this.vcpu.run({ profile: this.#ctx.profile }));
  }

  /** The exits before that of a port; `look` is called at each of them. Throws CheckError, DeadlineError. */
  until(port: number, look?: (exit: Exit) => void): Exit[] {
    return this.#until(port, () => this.next(), look);
  }

  /**
   * As `untilDone`, where each KVM_RUN comes after one that is not to enter the guest: `interrupt` is that one, and
   * gives the exit that it made all the same, or the errno's name.
   */
  untilDoneBehind(interrupt: () => Exit | string): Exit[] {
    const next = () => {
      const early = interrupt();
      return typeof early === 'string' ? this.next() : early;
    };
    return this.#until(DONE_PORT, next);
  }

  #until(port: number, next: () => Exit, look?: (exit: Exit) => void): Exit[] {
    const what = `of port 0x${port.toString(16)}`;
    return driveUntil(next, (exit) => isPort(exit, port), { look, what }).before;
  }

  /** The exits before the end of the program. */
  untilDone(look?: (exit: Exit) => void): Exit[] {
    return this.until(DONE_PORT, look);
  }

  /** KVM_RUN with kvm_run's immediate_exit set: the exit, or the errno's name. */
  runImmediateExit(): Exit | string {
    this.vcpu.kvmRun.setUint8(IMMEDIATE_EXIT, 1);
    const outcome = this.vcpu.runRaw();
    this.vcpu.kvmRun.setUint8(IMMEDIATE_EXIT, 0);
    if (outcome.kind === 'errno') return outcome.name;
    return outcome.kind === 'exit' ? this.#saw(this.vcpu.exit(this.#ctx.profile)) : 'ETIME';
  }

  /** KVM_RUN with a signal pending: the exit, or `EINTR`. */
  runWithSignal(): Exit | 'EINTR' {
    return this.vcpu.settle() ? this.#saw(this.vcpu.exit(this.#ctx.profile)) : 'EINTR';
  }

  #saw(exit: Exit): Exit {
    return saw(this.#ctx, this.vcpu, exit);
  }
}

/** Counts an exit. Throws CheckError if its guest cannot go on. */
export function saw(ctx: CheckContext, vcpu: Vcpu, exit: Exit): Exit {
  ctx.exit(vcpu.vcpuId, exit);
  if (failures.has(exit.name) || isPort(exit, guestPorts.fault))
    throw new CheckError(`vCPU ${vcpu.vcpuId} cannot go on: ${describeExit(exit)}`);
  return exit;
}

export interface AtOnceOptions {
  /** Is called at each exit, before the vCPU goes on: what a read waits for can be answered. */
  look?(exit: Exit, vcpu: Vcpu): void;
  /** Kick each vCPU, at its exits and in between, as long as it runs. */
  kicks?: boolean;
}

/**
 * All vCPUs of a machine at once, each on a thread of its own, up to its exit of a port: the exits before that, by vCPU.
 * Throws CheckError if a guest cannot go on; DeadlineError.
 */
export async function atOnce(
  ctx: CheckContext,
  machine: Machine,
  port: number,
  { look, kicks = false }: AtOnceOptions = {},
): Promise<Exit[][]> {
  const seen: Exit[][] = [];
  const runs = machine.vcpus.map(({ vcpu }, at) => {
    const own: Exit[] = [];
    seen[at] = own;
    const onExit = (exit: Exit, run: VcpuRun) => {
      if (isPort(saw(ctx, vcpu, exit), port)) return run.askToStop();
      own.push(exit);
      look?.(exit, vcpu);
      // When it is about to enter the guest again.
      if (kicks) queueMicrotask(() => void run.kick());
      if (own.length > MAX_EXITS) throw new CheckError(`${MAX_EXITS} exits of vCPU ${vcpu.vcpuId}`);
    };
    return vcpu.start({ onExit, profile: ctx.profile });
  });
  const ended = Promise.all(runs.map((run) => run.ended()));
  try {
    if (kicks) await Promise.race([ended, kickOften(runs)]);
    await ended;
  } finally {
    await Promise.all(runs.map((run) => run.stop()));
  }
  const met = runs.reduce((sum, { counters }) => sum + counters.kicks, 0);
  if (kicks && met === 0) throw new CheckError('no kick met a vCPU in the guest');
  ctx.log(`${met} kicks met a vCPU in the guest, or about to enter it`);
  return seen;
}

async function kickOften(runs: readonly VcpuRun[]): Promise<void> {
  for (let running = runs; running.length > 0; running = running.filter(({ alive }) => alive)) {
    for (const run of running) void run.kick();
    await setImmediate();
  }
}

/** struct kvm_run: immediate_exit. */
const IMMEDIATE_EXIT = 1;

const failures: ReadonlySet<string> = new Set(['KVM_EXIT_SHUTDOWN', 'KVM_EXIT_FAIL_ENTRY', 'KVM_EXIT_INTERNAL_ERROR']);

/** True if the guest uses this port. */
export function isPort(exit: Exit, port: number): boolean {
  return exit.name === 'KVM_EXIT_IO' && exit.port === port;
}
