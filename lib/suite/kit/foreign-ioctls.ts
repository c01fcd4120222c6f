/** Who has no business with a VM's ioctls, and what they say to a number that nobody has. */
import { _IOW } from '../../abi/kvm/request-number.ts';
import type { Vm } from '../../kvm/vm/vm.ts';
import type { CheckContext } from './context.ts';

/** An ioctl number of KVM's type that no kernel uses. */
const UNKNOWN = 0xff;

/** What the device, a VM and a vCPU have in common. */
export type Handle = Pick<Vm, 'ioctlRaw'>;

/** The answer to a number that nobody has, with an argument of `bytes` bytes. */
export const answerToUnknown = (ctx: CheckContext, handle: Handle, bytes: number): string =>
  ctx.answer('a number that nobody has', () => handle.ioctlRaw(_IOW(UNKNOWN, bytes), new Uint8Array(bytes)));

/** The device and a vCPU, with their names. */
export function otherHandles(ctx: CheckContext): readonly (readonly [what: string, handle: Handle])[] {
  const kvm = ctx.kvm();
  const vm = ctx.own(kvm.createVm());
  vm.createIrqchip();
  return [
    ['the device', kvm],
    ['a vCPU', vm.createVcpu(0)],
  ];
}
