/** Which vCPU an injection ioctl means by its vcpu_id. */
import { lapicRegisters } from '../../abi/apic/lapic.ts';
import type { CheckContext } from './context.ts';
import { asPosted } from './profiles.ts';

const found = new WeakMap<CheckContext, boolean>();

/**
 * Whether the ioctls take vcpu_id for the vCPU's place in the order of creation, as the series as posted does: another check
 * says so, and the rest is about what is replayed. Found out with two vCPUs, since a place that is not there crashes a kernel.
 */
export function takesPlaces(ctx: CheckContext): boolean {
  const known = found.get(ctx) ?? ask(ctx);
  found.set(ctx, known);
  return known;
}

function ask(ctx: CheckContext): boolean {
  if (!asPosted.includes(ctx.profile.name)) return false;
  if (!ctx.facts.injects.ipi) return true;
  const vm = ctx.own(ctx.kvm().createVm());
  vm.createIrqchip();
  const [one] = [1, 0].map((id) => vm.createVcpu(id));
  const { request, argument } = ctx.profile.ioctls.KVM_DSM_IPI;
  const write = argument.encode({ vcpuId: 1, val: lapicRegisters.ICR2, val2: 0x0500_0000 });
  ctx.answer('KVM_DSM_IPI of vCPU 1, which was made first', () => vm.ioctlRaw(request, write));
  return one!.lapic().registers.ICR2 === 0;
}
