/** KVM's VFIO device, and a PCI function for it. */
import { KVM_DEV_TYPE_VFIO } from '../../../abi/kvm/index.ts';
import { KVM_DEV_VFIO_DEVICE, vfioPciIrqs } from '../../../abi/vfio.ts';
import { EventFd } from '../../../kvm/eventfd.ts';
import { bindVfioPci, type VfioBinding, type VfioFiles } from '../../../kvm/vfio/bind.ts';
import { enableIrqForwarding, type VfioPseudoDevice } from '../../../kvm/vfio/kvm-device.ts';
import { INTX, labFunction, quietIntx } from '../../../kvm/vfio/lab-function.ts';
import type { Vm } from '../../../kvm/vm/vm.ts';
import { CheckError } from '../../errors.ts';
import type { CheckContext } from '../../kit/context.ts';

export const PATCH = 'KVM: kvm-vfio: User API for IRQ forwarding (v3 4/8, 2014)';
export const EXTENSION = 'kernel/rfc-v2/arch/x86/kvm/dsm_vfio.c';

export const FORWARD = { group: KVM_DEV_VFIO_DEVICE, attr: 1 } as const;
export const UNFORWARD = { group: KVM_DEV_VFIO_DEVICE, attr: 2 } as const;
export const { VFIO_PCI_MSI_IRQ_INDEX: MSI, VFIO_PCI_MSIX_IRQ_INDEX: MSIX, VFIO_PCI_REQ_IRQ_INDEX: REQ } = vfioPciIrqs;

/** A GSI beyond those that a new VM routes to the PICs. */
export const GSI = 20;
export const irq = { index: INTX, gsi: GSI };

export const newVm = (ctx: CheckContext): Vm => ctx.own(ctx.kvm().createVm());

export function deviceOf(ctx: CheckContext, vm: Vm): VfioPseudoDevice {
  if (!vm.hasDeviceType(KVM_DEV_TYPE_VFIO)) ctx.skip('this kernel has no VFIO device (CONFIG_KVM_VFIO)');
  return ctx.own(vm.createDevice('vfio'));
}

/** One that forwards IRQs. */
export function forwarder(ctx: CheckContext, vm = newVm(ctx)): VfioPseudoDevice {
  using _ = enableIrqForwarding();
  return deviceOf(ctx, vm);
}

export function bound(ctx: CheckContext): VfioBinding {
  const found = labFunction();
  if (!found) throw new CheckError('the PCI function for VFIO is gone');
  return ctx.own(bindVfioPci(found.address, { noIommu: true }));
}

/**
 * Its files. The function is quiet before and after the check: not every one is reset when it is opened, and QEMU 7.2's ends
 * the emulator if MSI-X is switched on while it still sees to an INTx.
 */
export function opened(ctx: CheckContext): VfioFiles {
  const files = ctx.own(bound(ctx).open());
  const quiet = () => quietIntx(files.device);
  quiet();
  ctx.own({ [Symbol.dispose]: quiet });
  return files;
}

export const event = (ctx: CheckContext): EventFd => ctx.own(EventFd.create());

/** An interrupt that the check before this one left behind comes as soon as INTx is switched on: it is nobody's. */
export function takeLeftover(adapter: VfioFiles['device'], signal: EventFd): void {
  quietIntx(adapter);
  adapter.unmaskIrq(INTX);
  signal.read();
}

/** The errno's name of a call, whatever class its error has; `0` if there is none. */
export function answer(ctx: CheckContext, what: string, call: () => void): string {
  return ctx.answer(what, () => {
    try {
      call();
    } catch (error) {
      throw error instanceof Error && error.cause !== undefined ? error.cause : error;
    }
  });
}
