/** What the faults of subject vfio do. */

import {
  asm,
  bindVfioPci,
  done,
  EventFd,
  enableIrqForwarding,
  eoi,
  Kvm,
  type KvmDsmError,
  labFunction,
  lowerIntx,
  machine,
  quietIntx,
  raiseIntx,
  sync,
  type VfioDevice,
  type VfioPseudoDevice,
  type Vm,
} from 'kvm-dsm';
import type { Case } from './guest.ts';

const INTX = { index: 0, gsi: 20 };

/** A VM with nothing in it. */
async function alone<T>(use: (vm: Vm) => Promise<T>): Promise<T> {
  using kvm = Kvm.open();
  using vm = kvm.createVm();
  return await use(vm);
}

const codeOf = (call: () => void): string => {
  try {
    call();
    return 'done';
  } catch (error) {
    return (error as KvmDsmError).code;
  }
};

/** The lab's PCI function, and a VFIO device of this VM that forwards its INTx. */
async function forwarder<T>(vm: Vm, use: (device: VfioPseudoDevice, adapter: VfioDevice) => T | Promise<T>) {
  using binding = bindVfioPci(labFunction()!.address, { noIommu: true });
  using files = binding.open();
  using on = enableIrqForwarding();
  using device = vm.createDevice('vfio');
  on[Symbol.dispose]();
  return await use(device, files.device);
}

/** Two interrupts of the function, one after the other, in a guest that ends each with EOI. */
async function completion(): Promise<string> {
  await using m = await machine({ apic: 'xapic' });
  const { redirtbl } = m.vm.getIrqchip('ioapic');
  redirtbl[INTX.gsi] = 0x52n;
  m.vm.setIrqchip('ioapic', { redirtbl });
  m.vcpu(0).program(
    asm.long64`
      ${sync('ready')}
      ${done()}
    on_irq:
      ${sync('taken')}
      ${eoi()}
      ${sync('ended')}
      iretq`,
    { handlers: { 82: 'on_irq' } },
  );
  await m.run({ until: { sync: 'ready' }, deadline: '30s' });
  return await forwarder(m.vm, async (device, adapter) => {
    using signal = EventFd.create();
    device.forwardIrq(adapter, INTX);
    adapter.signalIrqs(INTX.index, [signal]);
    // What an earlier use left behind comes first.
    quietIntx(adapter);
    adapter.unmaskIrq(INTX.index);
    signal.read();
    m.vm.assignIrqfd(signal, INTX.gsi);
    try {
      for (let round = 0; round < 2; round++) {
        raiseIntx(adapter);
        await m.run({ until: { sync: 'taken' }, deadline: '5s' });
        lowerIntx(adapter);
        await m.run({ until: { sync: 'ended' }, deadline: '5s' });
      }
      return 'two interrupts';
    } catch (error) {
      return (error as KvmDsmError).code;
    }
  });
}

export const vfioCases: Record<string, Case> = {
  'forward-signaled': {
    see: () =>
      alone((vm) =>
        forwarder(vm, (device, adapter) => {
          using signal = EventFd.create();
          adapter.signalIrqs(INTX.index, [signal]);
          return codeOf(() => device.forwardIrq(adapter, INTX));
        }),
      ),
    right: 'ERR_IRQ_SIGNALED',
    wrong: 'done',
  },
  'forward-incomplete': { see: completion, right: 'two interrupts', wrong: 'ERR_DEADLINE' },
};
