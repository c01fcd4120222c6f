/** A vCPU that is sent IPIs. */
import type { Machine } from '../../../script/machine/machine.ts';
import type { CheckContext } from '../../kit/context.ts';
import { runSender, send } from '../../kit/senders.ts';

export const KVM = 'arch/x86/kvm/lapic.c';

/** What an IPI of two vCPUs leaves behind on the second one, which does not run. */
export async function target(ctx: CheckContext, ...ipis: readonly number[]): Promise<Machine> {
  return await runSender(
    ctx,
    ipis.flatMap((icr) => send(1, icr)),
  );
}
