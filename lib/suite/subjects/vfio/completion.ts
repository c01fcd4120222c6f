/** Who completes an IRQ: user space, or the EOI of the guest. */

import { flat32, nop, out8, spin, sti, write32 } from '../../../guest/bytes.ts';
import type { VfioFiles } from '../../../kvm/vfio/bind.ts';
import { INTX, lowerIntx, raiseIntx } from '../../../kvm/vfio/lab-function.ts';
import type { Check } from '../../check.ts';
import { iretd } from '../../kit/code.ts';
import type { CheckContext } from '../../kit/context.ts';
import { Driver } from '../../kit/drive.ts';
import { at, DONE_PORT } from '../../kit/guests.ts';
import { irqForwarding, vfioFunction } from '../../kit/needs.ts';
import { OTHER_PORT } from '../../kit/writers.ts';
import { EXTENSION, event, forwarder, GSI, irq, opened, PATCH, takeLeftover } from './device.ts';

const VECTOR = 0x52;
const [READY_PORT, TAKEN_PORT] = [OTHER_PORT, DONE_PORT];

/** A guest that waits for the GSI, and the function whose INTx signals it. */
async function receiver(ctx: CheckContext, forwarded: boolean) {
  const { device: adapter } = opened(ctx);
  const machine = await ctx.machine({ apic: 'xapic' });
  const { vm } = machine;
  const device = forwarder(ctx, vm);
  if (forwarded) device.forwardIrq(adapter, irq);

  const { redirtbl } = vm.getIrqchip('ioapic');
  redirtbl[GSI] = BigInt(VECTOR);
  vm.setIrqchip('ioapic', { redirtbl });
  const signal = event(ctx);
  adapter.signalIrqs(INTX, [signal]);
  takeLeftover(adapter, signal);
  vm.assignIrqfd(signal, GSI);

  const main = [sti, nop, out8(READY_PORT), spin];
  const handler = [out8(TAKEN_PORT), write32(at('EOI'), 0), out8(READY_PORT), iretd];
  const handlerAt = machine.vcpu(0).entry + main.reduce((sum, { length }) => sum + length, 0);
  machine.vcpu(0).program(flat32(...main, ...handler), { handlers: { [VECTOR]: handlerAt } });
  const driver = new Driver(ctx, machine);
  driver.until(READY_PORT);
  return { adapter, driver, signal, vm };
}

/** The function's INTx comes to the guest, whose handler ends with EOI. The cause is gone by then, as a driver does it. */
function interrupt(ctx: CheckContext, driver: Driver, adapter: VfioFiles['device']): void {
  const before = driver.until(TAKEN_PORT);
  ctx.equal('exits before the interrupt', before.length, 0);
  lowerIntx(adapter);
  driver.until(READY_PORT);
}

export const completionChecks: Check[] = [
  {
    id: 'vfio.completion.forwarded',
    claim: "The guest's EOI completes a forwarded INTx: the next one comes, and user space unmasks nothing",
    source: `${PATCH}: directly completed by the guest; ${EXTENSION}`,
    needs: [irqForwarding, vfioFunction],
    deadline: '30s',
    async run(ctx) {
      const { adapter, driver } = await receiver(ctx, true);
      for (let round = 0; round < 5; round++) {
        raiseIntx(adapter);
        interrupt(ctx, driver, adapter);
      }
    },
  },
  {
    id: 'vfio.completion.other',
    claim: "Without forwarding the guest's EOI completes nothing: VFIO keeps INTx masked until user space unmasks it",
    source: 'Documentation/driver-api/vfio.rst; include/uapi/linux/vfio.h: VFIO_IRQ_INFO_AUTOMASKED',
    needs: [irqForwarding, vfioFunction],
    deadline: '30s',
    async run(ctx) {
      const { adapter, driver, signal, vm } = await receiver(ctx, false);
      raiseIntx(adapter);
      interrupt(ctx, driver, adapter);
      // From here on the event is this process's alone.
      vm.deassignIrqfd(signal, GSI);
      raiseIntx(adapter);
      ctx.equal('signalled while it is masked', signal.read(), null);
      adapter.unmaskIrq(INTX);
      ctx.equal('signalled by the unmask', await signal.wait('20s'), 1n);
    },
  },
];
