import { setTimeout as delay } from 'node:timers/promises';
import { decodeLapic } from '../../abi/apic/lapic.ts';
import type { DsmProfile } from '../../abi/dsm/profiles.ts';
import { mpStates, RFLAGS_IF } from '../../abi/kvm/index.ts';
import type { RunBudget } from '../../base/budget.ts';
import type { Exit } from '../../exit/decode.ts';
import type { VcpuRun } from '../../kvm/vcpu/run/run.ts';
import type { Vcpu } from '../../kvm/vcpu/vcpu.ts';

/** What a run of several vCPUs asks its machine. */
export interface Conductor {
  profile: DsmProfile;
  /** What guests may take of the program's time. */
  budget: RunBudget;
  /** An exit came. True if the run is over with it; what this throws ends it as well. */
  exit(vcpu: Vcpu, exit: Exit): boolean;
  /** An exit that met the end of the run. */
  lateExit(vcpu: Vcpu, exit: Exit): void;
  /** It is out of the guest for a moment: where is it? */
  look(vcpu: Vcpu): void;
  /** The run is over when all of these are idle in HLT. Empty: idle vCPUs end no run. */
  idle: readonly Vcpu[];
  /** Milliseconds from now. */
  limit: number;
}

/** How often a run that waits for all to be idle looks, in ms: at first, and in the end. */
const LOOK_SOON = 1;
const LOOK_LATE = 20;
/** How often a run that comes to its deadline looks where its vCPUs are. */
const LOOKS = 5;

/**
 * Runs vCPUs side by side, each on its thread, until one exit ends the run, or all are idle, or the time is over. An
 * exit that meets the end is still handed over: nothing that a guest did is lost.
 *
 * @returns false if the time was over first
 * @throws what `exit` throws; IoctlError (KVM_RUN)
 */
export async function runTogether(vcpus: readonly Vcpu[], conductor: Conductor): Promise<boolean> {
  let isOver = false;
  let finish: (inTime: boolean) => void = () => {};
  let fail: (error: unknown) => void = () => {};
  const over = new Promise<boolean>((resolve, reject) => {
    finish = resolve;
    fail = reject;
  });
  // Without an in-kernel LAPIC nothing but user space could wake a vCPU from HLT: it has left the guest.
  const left = new Set<Vcpu>();
  const onExit = (exit: Exit, run: VcpuRun): void => {
    if (isOver) {
      // It stays where it is: whatever comes behind its exit belongs to the next run.
      void run.pause();
      conductor.lateExit(run.vcpu, exit);
      return;
    }
    // If it throws that is the run's end, before anybody looks at a vCPU again: its thread has yet to go.
    isOver = true;
    isOver = conductor.exit(run.vcpu, exit);
    if (isOver) {
      void run.pause();
      finish(true);
    } else if (exit.name === 'KVM_EXIT_HLT') {
      left.add(run.vcpu);
      void run.pause();
    }
  };
  const runs: VcpuRun[] = [];
  const timer = setTimeout(() => {
    // A run that waits for idle vCPUs looks at them all the time.
    if (conductor.idle.length > 0) finish(false);
    else lookAround(runs, left, conductor, () => isOver).then(() => finish(false), fail);
  }, conductor.limit);
  let inTime: boolean;
  try {
    for (const vcpu of vcpus) {
      const run = vcpu.start({ onExit, profile: conductor.profile });
      runs.push(run);
      // Nobody waits longer for it than `conductor.limit`.
      run.ended({ deadline: '1440m' }).catch(fail);
    }
    if (conductor.idle.length > 0)
      allIdle(runs, left, conductor, () => isOver).then((idle) => {
        if (idle) finish(true);
      }, fail);
    inTime = await over;
  } finally {
    isOver = true;
    clearTimeout(timer);
    for (const run of runs) run.askToStop();
    await Promise.all(runs.map((run) => run.stop()));
    await Promise.allSettled(runs.map((run) => run.ended()));
  }
  // What went wrong with a late exit.
  for (const run of runs) await run.ended();
  return inTime;
}

/** Takes them out of the guest a few times in a row, to see where they are. */
async function lookAround(
  runs: readonly VcpuRun[],
  left: ReadonlySet<Vcpu>,
  conductor: Conductor,
  isOver: () => boolean,
): Promise<void> {
  for (let times = 0; times < LOOKS; times++) {
    const going = runs.filter((run) => run.alive && !left.has(run.vcpu));
    await Promise.all(going.map((run) => run.pause()));
    // One that fails is not out yet: its failure is what ends the run.
    if (isOver() || going.some(({ inGuest }) => inGuest)) return;
    for (const run of going) if (run.alive) conductor.look(run.vcpu);
    if (times === LOOKS - 1) return;
    for (const run of going) if (!left.has(run.vcpu)) run.resume();
    await delay(LOOK_SOON);
  }
}

/** Resolves when all that are wanted are idle, twice in a row: an interrupt that was on its way has arrived by then. */
async function allIdle(
  runs: readonly VcpuRun[],
  left: ReadonlySet<Vcpu>,
  conductor: Conductor,
  isOver: () => boolean,
): Promise<boolean> {
  let times = 0;
  for (let wait = LOOK_SOON; ; wait = Math.min(wait * 2, LOOK_LATE)) {
    await delay(wait);
    if (isOver()) return false;
    await Promise.all(runs.map((run) => run.pause()));
    if (isOver() || runs.some(({ alive, inGuest }) => inGuest || !alive)) return false;
    for (const run of runs) conductor.look(run.vcpu);
    times = conductor.idle.every((vcpu) => left.has(vcpu) || isIdle(vcpu)) ? times + 1 : 0;
    if (times === 2) return true;
    for (const run of runs) if (!left.has(run.vcpu)) run.resume();
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
