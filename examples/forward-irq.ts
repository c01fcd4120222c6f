// IRQ forwarding by KVM's VFIO device: a PCI function's INTx goes to a guest, whose EOI completes it. The lab has a function
// for it, and its kernel the extension; docs/vfio.md tells what is whose.

import assert from 'node:assert/strict';
import {
  asm,
  bindVfioPci,
  done,
  EventFd,
  enableIrqForwarding,
  eoi,
  labFunction,
  lowerIntx,
  machine,
  quietIntx,
  raiseIntx,
  sync,
  UnsupportedError,
} from 'kvm-dsm';

const INTX = 0;
const GSI = 20;
const VECTOR = 0x52;

const found = labFunction();
if (!found) throw new UnsupportedError("the lab's PCI function for VFIO", 'IRQ forwarding');
using binding = bindVfioPci(found.address, { noIommu: true });
using files = binding.open();
const { device, group } = files;
assert.equal(device.irqInfo(INTX).count, 1);
quietIntx(device);

await using m = await machine({ apic: 'xapic' });
using on = enableIrqForwarding();
using kvmVfio = m.vm.createDevice('vfio');
on[Symbol.dispose]();

// KVM is told of the group, and the IRQ is forwarded, before VFIO signals it.
kvmVfio.addFile(group);
kvmVfio.forwardIrq(device, { index: INTX, gsi: GSI });
using signal = EventFd.create();
m.vm.assignIrqfd(signal, GSI);
device.signalIrqs(INTX, [signal]);
assert.throws(() => kvmVfio.unforwardIrq(device, { index: INTX, gsi: GSI }), { code: 'ERR_IRQ_SIGNALED' });

const { redirtbl } = m.vm.getIrqchip('ioapic');
redirtbl[GSI] = BigInt(VECTOR);
m.vm.setIrqchip('ioapic', { redirtbl });
m.vcpu(0).program(
  asm.long64`
    ${sync('ready')}
    ${done()}
  on_irq:
    ${sync('taken')}
    ${eoi()}
    ${sync('completed')}
    iretq`,
  { handlers: { [VECTOR]: 'on_irq' } },
);
await m.run({ until: { sync: 'ready' }, deadline: '60s' });

// An INTx masks itself when it has come. Nobody here unmasks it: KVM does, for the guest's EOI.
for (let round = 1; round <= 3; round++) {
  raiseIntx(device);
  await m.run({ until: { sync: 'taken' }, deadline: '60s' });
  lowerIntx(device);
  await m.run({ until: { sync: 'completed' }, deadline: '60s' });
}

device.disableIrqs(INTX);
kvmVfio.unforwardIrq(device, { index: INTX, gsi: GSI });
kvmVfio.removeFile(group);
