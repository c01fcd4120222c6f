/** What KVM's VFIO device can do. */
import { KVM_DEV_TYPE_VFIO } from '../abi/kvm/index.ts';
import { KVM_DEV_VFIO_DEVICE, KVM_DEV_VFIO_DEVICE_FORWARD_IRQ } from '../abi/vfio.ts';
import type { Kvm } from '../kvm/kvm.ts';
import { irqForwarding, irqForwardingParameter } from '../kvm/vfio/kvm-device.ts';
import { type HealthCheck, healthCheck } from './health-check.ts';

/** What KVM's VFIO device can do here. */
export function checkVfio(kvm: Kvm): HealthCheck {
  using vm = kvm.createVm();
  if (!vm.hasDeviceType(KVM_DEV_TYPE_VFIO))
    return healthCheck('vfio', 'note', 'KVM has no VFIO device here (CONFIG_KVM_VFIO)');
  const forwarding = irqForwarding();
  using device = vm.createDevice('vfio');
  // A kernel that does it without a parameter, or by one of another name, says so here.
  const offered = device.hasAttr({ group: KVM_DEV_VFIO_DEVICE, attr: KVM_DEV_VFIO_DEVICE_FORWARD_IRQ });
  const irqs =
    forwarding === null
      ? offered
        ? 'it forwards IRQs'
        : 'it forwards no IRQs, as on every mainline kernel'
      : `it forwards IRQs ${forwarding ? 'now' : 'once it is told to'} (kvm.${irqForwardingParameter})`;
  return healthCheck('vfio', 'note', `KVM has a VFIO device: ${irqs}`);
}
