/** An IRQ that VFIO signals keeps its forwarding as it is. */
import { INTX } from '../../../kvm/vfio/lab-function.ts';
import type { Check } from '../../check.ts';
import { irqForwarding, vfioFunction } from '../../kit/needs.ts';
import { answer, event, forwarder, GSI, irq, MSIX, opened, PATCH, takeLeftover } from './device.ts';

export const busyChecks: Check[] = [
  {
    id: 'vfio.busy.forward',
    claim: 'An IRQ that VFIO signals is EBUSY to forward, until the signalling is off',
    source: PATCH,
    needs: [irqForwarding, vfioFunction],
    run(ctx) {
      const { device: adapter } = opened(ctx);
      const device = forwarder(ctx);
      adapter.signalIrqs(INTX, [event(ctx)]);
      const forward = () => device.forwardIrq(adapter, irq);
      ctx.equal('forward while it is signalled', answer(ctx, 'KVM_SET_DEVICE_ATTR', forward), 'EBUSY');
      adapter.disableIrqs(INTX);
      ctx.equal('forward after that', answer(ctx, 'KVM_SET_DEVICE_ATTR', forward), '0');
    },
  },
  {
    id: 'vfio.busy.unforward',
    claim: 'A forwarded IRQ can be signalled, and is EBUSY to unforward until the signalling is off',
    source: PATCH,
    needs: [irqForwarding, vfioFunction],
    run(ctx) {
      const { device: adapter } = opened(ctx);
      const device = forwarder(ctx);
      const signal = event(ctx);
      device.forwardIrq(adapter, irq);
      const set = () => adapter.signalIrqs(INTX, [signal]);
      ctx.equal('VFIO_DEVICE_SET_IRQS after forwarding', ctx.answer('VFIO_DEVICE_SET_IRQS', set), '0');
      takeLeftover(adapter, signal);
      adapter.triggerIrqs(INTX);
      ctx.equal('what is signalled', signal.read(), 1n);
      const unforward = () => device.unforwardIrq(adapter, irq);
      ctx.equal('unforward while it is signalled', answer(ctx, 'KVM_SET_DEVICE_ATTR', unforward), 'EBUSY');
      const forward = () => device.forwardIrq(adapter, irq);
      ctx.equal('forward once more', answer(ctx, 'KVM_SET_DEVICE_ATTR', forward), 'EBUSY');
      adapter.disableIrqs(INTX);
      ctx.equal('unforward after that', answer(ctx, 'KVM_SET_DEVICE_ATTR', unforward), '0');
    },
  },
  {
    id: 'vfio.busy.no-eventfd',
    claim: 'Signalling is off as soon as the IRQ has no eventfd, though its index is still switched on',
    source: PATCH,
    needs: [irqForwarding, vfioFunction],
    run(ctx) {
      const { device: adapter } = opened(ctx);
      const device = forwarder(ctx);
      adapter.signalIrqs(INTX, [event(ctx)]);
      const forward = () => device.forwardIrq(adapter, irq);
      ctx.equal('forward with an eventfd', answer(ctx, 'KVM_SET_DEVICE_ATTR', forward), 'EBUSY');
      adapter.signalIrqs(INTX, [null]);
      ctx.equal('forward without one', answer(ctx, 'KVM_SET_DEVICE_ATTR', forward), '0');
    },
  },
  {
    id: 'vfio.busy.each-irq',
    claim: 'The signalling of one MSI-X vector holds up this one, and neither its neighbour nor INTx',
    source: PATCH,
    needs: [irqForwarding, vfioFunction],
    run(ctx) {
      const { device: adapter } = opened(ctx);
      if (adapter.irqInfo(MSIX).count < 3) ctx.skip("this lane's PCI function has no MSI-X");
      const device = forwarder(ctx);
      adapter.signalIrqs(MSIX, [event(ctx)], 1);
      const answers = [
        { index: MSIX, subindex: 0 },
        { index: MSIX, subindex: 1 },
        { index: MSIX, subindex: 2 },
        { index: INTX, subindex: 0 },
      ].map((which) => answer(ctx, 'KVM_SET_DEVICE_ATTR', () => device.forwardIrq(adapter, { ...which, gsi: GSI })));
      ctx.equal('forward vectors 0, 1, 2, INTx', answers, ['0', 'EBUSY', '0', '0']);
    },
  },
];
