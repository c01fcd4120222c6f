/** Kernels whose VMs have to ask for the exits, in a way that the profile does not know. */
import { profiles } from '../../../abi/dsm/profiles.ts';
import { askInjection } from '../../../probe/injection.ts';
import type { CheckContext } from '../../kit/context.ts';

/**
 * Ends a check about a kernel that forwards nothing, where that may be for want of an opt-in: it offers another profile's,
 * or its ioctls are there and refuse a write that nothing else is wrong with.
 */
export function skipIfAsked(ctx: CheckContext): void {
  if (ctx.profile.optIn) return;
  const kvm = ctx.kvm();
  for (const { name, optIn } of profiles.values())
    if (optIn && kvm.checkExtension(optIn.capability) > 0)
      ctx.skip(`VMs of this kernel have to ask for the exits: it offers ${optIn.name} of profile ${name}`);
  const { known, answers } = askInjection(kvm, 'KVM_DSM_IPI', ctx.profile);
  const refused = known && answers.every((answer) => /^E[A-Z0-9]+$/.test(answer));
  if (refused) ctx.skip(`VMs of this kernel may have to ask for the exits: KVM_DSM_IPI answers ${answers[0]}`);
}
