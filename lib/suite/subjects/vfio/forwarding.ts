/** Which IRQs can be forwarded. */
import { KVM_DEV_VFIO_DEVICE } from '../../../abi/vfio.ts';
import type { Check } from '../../check.ts';
import { irqForwarding, vfioFunction } from '../../kit/needs.ts';
import {
  answer,
  EXTENSION,
  event,
  FORWARD,
  forwarder,
  GSI,
  irq,
  MSI,
  MSIX,
  opened,
  PATCH,
  REQ,
  UNFORWARD,
} from './device.ts';

export const forwardingChecks: Check[] = [
  {
    id: 'vfio.forwarding.known',
    claim: 'KVM_DEV_VFIO_DEVICE has FORWARD_IRQ 1 and UNFORWARD_IRQ 2, and no other attribute',
    source: `${PATCH}; ${EXTENSION}`,
    needs: [irqForwarding],
    run(ctx) {
      const device = forwarder(ctx);
      const has = [0, 1, 2, 3].map((attr) => device.hasAttr({ group: KVM_DEV_VFIO_DEVICE, attr }));
      ctx.effect('attributes asked for', has.length);
      ctx.equal('has attributes 0 to 3', has, [false, true, true, false]);
      const set = () => device.setAttr({ group: KVM_DEV_VFIO_DEVICE, attr: 3 }, new Uint8Array(16), event(ctx));
      ctx.equal('attribute 3', ctx.answer('KVM_SET_DEVICE_ATTR', set), 'ENXIO');
    },
  },
  {
    id: 'vfio.forwarding.state',
    claim: 'An IRQ is forwarded once (else EEXIST) and unforwarded once (else ENOENT)',
    source: `${PATCH}; ${EXTENSION}`,
    needs: [irqForwarding, vfioFunction],
    run(ctx) {
      const { device: adapter } = opened(ctx);
      const device = forwarder(ctx);
      const forward = () => device.forwardIrq(adapter, irq);
      const unforward = () => device.unforwardIrq(adapter, irq);
      const answers = [unforward, forward, forward, unforward, unforward, forward].map((call) =>
        answer(ctx, 'KVM_SET_DEVICE_ATTR', call),
      );
      const expected = ['ENOENT', '0', 'EEXIST', '0', 'ENOENT', '0'];
      ctx.equal('unforward, forward, forward, unforward, unforward, forward', answers, expected);
      const other = () => device.unforwardIrq(adapter, { ...irq, gsi: GSI + 1 });
      ctx.equal('unforward from another GSI', answer(ctx, 'KVM_SET_DEVICE_ATTR', other), 'ENOENT');
    },
  },
  {
    id: 'vfio.forwarding.unknown-irq',
    claim:
      'An index, a subindex or a GSI that there is not is EINVAL, and so is an index that is no IRQ of the function',
    source: `${PATCH}; ${EXTENSION}`,
    needs: [irqForwarding, vfioFunction],
    run(ctx) {
      const { device: adapter } = opened(ctx);
      const device = forwarder(ctx);
      for (const wrong of [
        { index: 5 },
        { index: 0xffff_ffff },
        { index: REQ },
        { subindex: 1 },
        { subindex: 0xffff_ffff },
        { index: MSI, subindex: adapter.irqInfo(MSI).count },
        { index: MSIX, subindex: adapter.irqInfo(MSIX).count },
        { gsi: 4096 },
      ]) {
        const forward = () => device.forwardIrq(adapter, { ...irq, ...wrong });
        ctx.equal(`forward ${JSON.stringify(wrong)}`, answer(ctx, 'KVM_SET_DEVICE_ATTR', forward), 'EINVAL');
        if ('gsi' in wrong) continue;
        const unforward = () => device.unforwardIrq(adapter, { ...irq, ...wrong });
        ctx.equal(`unforward ${JSON.stringify(wrong)}`, answer(ctx, 'KVM_SET_DEVICE_ATTR', unforward), 'EINVAL');
      }
    },
  },
  {
    id: 'vfio.forwarding.wrong-file',
    claim: "A file that is no VFIO device's is EINVAL, a VFIO group's or container's included",
    source: `${PATCH}: fd, the VFIO device; ${EXTENSION}`,
    needs: [irqForwarding, vfioFunction],
    run(ctx) {
      const { container, group } = opened(ctx);
      const device = forwarder(ctx);
      for (const [name, file] of Object.entries({ container, group, eventfd: event(ctx) }))
        for (const which of [FORWARD, UNFORWARD]) {
          const set = () => device.setAttr(which, new Uint8Array(16), file);
          ctx.equal(`attribute ${which.attr} with a ${name}`, ctx.answer('KVM_SET_DEVICE_ATTR', set), 'EINVAL');
        }
    },
  },
  {
    id: 'vfio.forwarding.one-vm',
    claim: 'An IRQ is forwarded to one VM: another one can neither take nor undo it before the first lets go',
    source: EXTENSION,
    needs: [irqForwarding, vfioFunction],
    run(ctx) {
      const { device: adapter } = opened(ctx);
      const [first, second] = [forwarder(ctx), forwarder(ctx)];
      first.forwardIrq(adapter, irq);
      const forward = () => second.forwardIrq(adapter, irq);
      ctx.equal('forward to a second VM', answer(ctx, 'KVM_SET_DEVICE_ATTR', forward), 'EEXIST');
      const unforward = () => second.unforwardIrq(adapter, irq);
      ctx.equal('unforward by a second VM', answer(ctx, 'KVM_SET_DEVICE_ATTR', unforward), 'ENOENT');
      first.close();
      ctx.equal('forward once the first is closed', answer(ctx, 'KVM_SET_DEVICE_ATTR', forward), '0');
    },
  },
];
