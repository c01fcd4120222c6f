/** Several vCPUs, one thread each. */
import { setTimeout as delay } from 'node:timers/promises';
import { decodeLapic } from '../../abi/apic/lapic.ts';
import { mpStates, RFLAGS_IF } from '../../abi/kvm/index.ts';
import type { Exit } from '../../exit/exit.ts';
import type { Vcpu, VcpuRun } from '../../kvm/vcpu/vcpu.ts';
import type { RunHooks } from './run-hooks.ts';

/** How often a run that waits for all to be idle asks them, in ms: at first, and in the end. */
const POLL_SOON = 1;
const POLL_LATE = 20;
/** A look is left out so many times in a row at most. */
const SKIPPED = 50;
/** How often those are told who want to hear of each exit, in ms. */
const LOOK = 10;
/** How many samples of RIP a run that comes to its deadline takes. */
const SAMPLES = 5;

/** A vCPU and its thread. */
interface Started {
  readonly vcpu: Vcpu;
  readonly run: VcpuRun;
}

/**
 * Runs vCPUs side by side, each on its thread, until one exit ends the run, or all are idle, or the time is over. An
 * exit that meets the end is still handed over: nothing that a guest did is lost.
 *
 * @returns false if the time was over first
 * @throws what `onExit` throws; IoctlError (KVM_RUN)
 */
export async function runThreads(vcpus: readonly Vcpu[], hooks: RunHooks): Promise<boolean> {
  let isOver = false;
  let finish: (inTime: boolean) => void = () => {};
  let fail: (error: unknown) => void = () => {};
  const over = new Promise<boolean>((resolve, reject) => {
    finish = resolve;
    fail = reject;
  });
  // Nobody awaits it where a vCPU cannot be started, and one that runs already may still fail: with the VM, say.
  over.catch(() => {});
  // Without an in-kernel LAPIC nothing but user space could wake a vCPU from HLT: it has left the guest.
  const left = new Set<Vcpu>();
  const onExit = (vcpu: Vcpu, exit: Exit, run: VcpuRun): void => {
    if (isOver || hooks.isLate?.(vcpu)) {
      // It stays where it is: whatever comes after its exit belongs to the next run.
      void run.pause();
      hooks.onLateExit(vcpu, exit);
      return;
    }
    // If it throws that is the run's end, before anybody asks a vCPU again: its thread has yet to go.
    isOver = true;
    isOver = hooks.onExit(vcpu, exit);
    if (isOver) {
      void run.pause();
      finish(true);
    } else if (hooks.isLeft(vcpu, exit)) {
      left.add(vcpu);
      void run.pause();
    }
  };
  const started: Started[] = [];
  const timer = setTimeout(() => {
    // A run that waits for idle vCPUs samples them all the time.
    if (hooks.untilIdle) finish(false);
    else sampleAll(started, left, hooks, () => isOver).then(() => finish(false), fail);
  }, hooks.limit);
  const onClose = () => fail(hooks.closing.reason);
  const looks = setInterval(() => hooks.look?.(), LOOK).unref();
  let inTime: boolean;
  try {
    for (const vcpu of vcpus) {
      const take = (exit: Exit, of: VcpuRun) => onExit(vcpu, exit, of);
      const run = hooks.log ? vcpu.startInto(hooks.log, take) : vcpu.start({ onExit: take });
      started.push({ vcpu, run });
      // Nobody waits longer for it than `hooks.limit`.
      run.ended({ deadline: '1440m' }).catch(fail);
    }
    if (hooks.untilIdle)
      allIdle(started, left, hooks, () => isOver).then((idle) => {
        if (idle) finish(true);
      }, fail);
    hooks.closing.addEventListener('abort', onClose);
    hooks.nodes?.failed.catch(fail);
    void hooks.nodes?.over?.then(() => finish(true));
    inTime = await over;
  } finally {
    isOver = true;
    clearTimeout(timer);
    clearInterval(looks);
    hooks.closing.removeEventListener('abort', onClose);
    for (const { run } of started) run.askToStop();
    await Promise.all(started.map(({ run }) => run.stop()));
    await Promise.allSettled(started.map(({ run }) => run.ended()));
  }
  // What went wrong with a late exit.
  for (const { run } of started) await run.ended();
  return inTime;
}

/** Takes them out of the guest a few times in a row, to see where they are. */
async function sampleAll(
  started: readonly Started[],
  left: ReadonlySet<Vcpu>,
  hooks: RunHooks,
  isOver: () => boolean,
): Promise<void> {
  for (let times = 0; times < SAMPLES; times++) {
    const going = started.filter(({ vcpu, run }) => run.alive && !left.has(vcpu));
    await Promise.all(going.map(({ run }) => run.pause()));
    // One that fails is not out yet: its failure is what ends the run.
    if (isOver() || going.some(({ run }) => run.inGuest)) return;
    for (const { vcpu, run } of going) if (run.alive) hooks.sample(vcpu);
    if (times === SAMPLES - 1) return;
    for (const { vcpu, run } of going) if (!left.has(vcpu)) run.resume();
    await delay(POLL_SOON);
  }
}

/** Resolves when all that are wanted are idle, twice in a row: an interrupt that was on its way has arrived by then. */
async function allIdle(
  started: readonly Started[],
  left: ReadonlySet<Vcpu>,
  hooks: RunHooks,
  isOver: () => boolean,
): Promise<boolean> {
  let times = 0;
  let skipped = 0;
  for (let wait = POLL_SOON; ; wait = Math.min(wait * 2, POLL_LATE)) {
    await delay(wait);
    if (isOver()) return false;
    // As long as something is on its way nobody has to be taken out of the guest; seldom, to see where each is.
    if (hooks.nodes?.quiet === false && skipped < SKIPPED) {
      skipped += 1;
      times = hooks.nodes.idle(false) ? times : 0;
      continue;
    }
    skipped = 0;
    await Promise.all(started.map(({ run }) => run.pause()));
    if (isOver() || started.some(({ run }) => run.inGuest || !run.alive)) return false;
    for (const { vcpu } of started) hooks.sample(vcpu);
    const areIdle = hooks.idle.every((vcpu) => left.has(vcpu) || isIdle(vcpu));
    times = (hooks.nodes?.idle(areIdle) ?? areIdle) ? times + 1 : 0;
    if (times === 2) return true;
    for (const { vcpu, run } of started) if (!left.has(vcpu)) run.resume();
  }
}

/** Halted, and no interrupt waits that would wake it. */
function isIdle(vcpu: Vcpu): boolean {
  if (vcpu.getMpState() !== mpStates.KVM_MP_STATE_HALTED) return false;
  if ((vcpu.getRegs().rflags & RFLAGS_IF) === 0n) return true;
  let page: Uint8Array;
  try {
    page = vcpu.getLapic();
  } catch {
    return true;
  }
  const { registers, irr } = decodeLapic(page);
  return irr.every((vector) => vector >> 4 <= registers.PPR >> 4);
}
