/** vCPUs of one machine by turns, exit by exit: what is handled when does not depend on the scheduler then. */

import type { Exit } from '../../../exit/exit.ts';
import { describeExit } from '../../../exit/text.ts';
import { flat32, out8 } from '../../../guest/bytes.ts';
import type { GuestCode } from '../../../guest/code.ts';
import type { Vcpu } from '../../../kvm/vcpu/vcpu.ts';
import type { Machine } from '../../../script/machine/machine.ts';
import { jmpBack } from '../../kit/code.ts';
import type { CheckContext } from '../../kit/context.ts';
import { driveUntil, isPort, saw } from '../../kit/drive.ts';
import { DONE_PORT } from '../../kit/guests.ts';

/** Where a guest leaves that goes on after it. */
export const HERE_PORT = 0x12;
const MOST_EXITS = 2048;

/** Comes by HERE_PORT again and again; interrupts that wait are handled before that. */
const waiter = flat32(out8(HERE_PORT), jmpBack(2));

/** Gives vCPUs a guest that takes interrupts. */
export function letTake(machine: Machine, ids: readonly number[]): void {
  for (const id of ids) machine.vcpu(id).program(waiter);
}

/** Lets a vCPU that is in the loop of `waiter` handle the interrupts that wait for it. */
export function take(ctx: CheckContext, machine: Machine, id: number): void {
  const { vcpu } = machine.vcpu(id);
  // Twice: what it takes after the `out` that is not complete yet has been handled at the next one. Guests that KVM
  // emulates take one interrupt at a time.
  for (let times = 0; times < 2 || (times < MOST_EXITS && vcpu.lapic().irr.length > 0); times++) {
    const exit = runOn(ctx, vcpu);
    if (exit.name !== 'KVM_EXIT_IO' || exit.port !== HERE_PORT)
      ctx.fail(`vCPU ${id}, which takes interrupts, made another exit: ${describeExit(exit)}`);
  }
  ctx.effect(`vCPU ${id} looked for interrupts`);
}

/** The next exit that is no forwarded write: what comes out of a handler is the claim of others. */
function runOn(ctx: CheckContext, vcpu: Vcpu): Exit {
  const next = () => vcpu.run({ profile: ctx.profile });
  const isOther = ({ name }: Exit) => name !== 'KVM_EXIT_DSM_SEND_IRQ';
  return driveUntil(next, isOther, { most: MOST_EXITS, what: `of vCPU ${vcpu.vcpuId} but forwarded writes` }).last;
}

/** Runs vCPU 0 to its end, and calls `between` at each exit, the last one too; it can take interrupts then. */
export function sendBy(ctx: CheckContext, machine: Machine, code: GuestCode, between: (exit: Exit) => void): void {
  const { vcpu } = machine.vcpu(0).program(flat32(code.bytes, waiter.bytes));
  const next = () => {
    const exit = saw(ctx, vcpu, vcpu.run({ profile: ctx.profile }));
    between(exit);
    return exit;
  };
  driveUntil(next, (exit) => isPort(exit, DONE_PORT), { most: MOST_EXITS, what: 'that is the end of vCPU 0' });
}
