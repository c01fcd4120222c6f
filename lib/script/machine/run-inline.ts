/** One vCPU, by turns on this thread. */
import { setImmediate as eventLoop } from 'node:timers/promises';
import { mpStates } from '../../abi/kvm/index.ts';
import { IoctlError } from '../../base/errors.ts';
import type { Vcpu } from '../../kvm/vcpu/vcpu.ts';
import type { RunHooks } from './run-hooks.ts';

/** How long a vCPU keeps this thread, in ms, before the event loop gets its turn. */
const SLICE = 50;
/** The last turns before the time is over, in ms, are short: the samples of RIP then tell what the guest does. */
const LAST_SLICE = 1;
const LAST_SLICES = 8;
/** So many exits come at most before somebody may look at them. */
const MOST = 65_536;

/**
 * Runs one vCPU by turns on this thread, which costs least, until an exit ends the run, or it is idle, or the time is
 * over.
 *
 * @returns false if the time was over first
 * @throws what `onExit` throws; IoctlError (KVM_RUN)
 */
export async function runInline(vcpu: Vcpu, hooks: RunHooks): Promise<boolean> {
  const ends = performance.now() + hooks.limit;
  // Without an in-kernel LAPIC nothing but user space could wake a vCPU from HLT: it has left the guest.
  let left = false;
  for (;;) {
    const turn = left ? 'late' : takeTurn(vcpu, endOfTurn(ends), hooks);
    if (turn === 'over') return true;
    if (turn === 'left') left = true;
    else hooks.sample(vcpu);
    hooks.look?.();
    if (hooks.idle.includes(vcpu) && (left || vcpu.getMpState() === mpStates.KVM_MP_STATE_HALTED)) return true;
    if (performance.now() >= ends || hooks.budget.left === 0) return false;
    await eventLoop();
    hooks.closing.throwIfAborted();
  }
}

function endOfTurn(ends: number): number {
  const now = performance.now();
  const left = ends - now;
  if (left <= LAST_SLICES * LAST_SLICE) return Math.min(now + LAST_SLICE, ends);
  return Math.min(now + SLICE, ends - LAST_SLICES * LAST_SLICE);
}

/** One turn: until `ends`, its HLT exit, or the end of the run. */
function takeTurn(vcpu: Vcpu, ends: number, hooks: RunHooks): 'late' | 'left' | 'over' {
  for (;;) {
    const left = Math.min(ends - performance.now(), hooks.budget.left);
    if (left <= 0) return 'late';
    const outcome = hooks.log ? vcpu.runInto(hooks.log, left, MOST) : vcpu.runRaw(left);
    if (outcome.kind === 'deadline') return 'late';
    if (outcome.kind === 'errno') {
      // EAGAIN: an AP has taken an INIT or a SIPI, and is to be entered again.
      if (outcome.name === 'EAGAIN') continue;
      throw new IoctlError('KVM_RUN', outcome.errno);
    }
    const exit = vcpu.exit();
    if (hooks.onExit(vcpu, exit)) return 'over';
    if (hooks.isLeft(vcpu, exit)) return 'left';
  }
}
