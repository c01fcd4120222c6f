/** What a VM tells of its acts: those that the kernel has taken, with every default filled in. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventFd } from '../../lib/index.ts';
import type { VmAct } from '../../lib/kvm/vm/acts.ts';
import { withGuest } from '../support/guest32.ts';
import { errorOf, noKvm } from '../support/host.ts';

test('each listener gets every interrupt that the kernel has taken, in order', { skip: noKvm }, () => {
  withGuest({}, ({ vm, vcpu }) => {
    vcpu.setLapicRegisters({ SVR: 0x1ff });
    const acts: VmAct[] = [];
    const again: VmAct[] = [];
    vm.onAct((act) => acts.push(act));
    vm.onAct((act) => again.push(act));
    assert.equal(vm.signalMsi({ addressLo: 0xfee0_0000, data: 0x44 }), true);
    assert.equal(vm.signalMsi({ addressLo: 0xfee5_5000, addressHi: 0, data: 0x45 }), false);
    vm.irqLine(5, true);
    vm.irqLine(5, false);
    const status = vm.irqLineStatus(17, false);
    assert.deepEqual(acts, [
      {
        ioctl: 'KVM_SIGNAL_MSI',
        message: { addressLo: 0xfee0_0000, addressHi: 0, data: 0x44 },
        delivered: true,
      },
      {
        ioctl: 'KVM_SIGNAL_MSI',
        message: { addressLo: 0xfee5_5000, addressHi: 0, data: 0x45 },
        delivered: false,
      },
      { ioctl: 'KVM_IRQ_LINE', gsi: 5, level: true },
      { ioctl: 'KVM_IRQ_LINE', gsi: 5, level: false },
      { ioctl: 'KVM_IRQ_LINE_STATUS', gsi: 17, level: false, status },
    ]);
    assert.deepEqual(again, acts);
  });
});

test('what the kernel or this package refused is no act', { skip: noKvm }, () => {
  withGuest({ irqchip: 'none' }, ({ vm }) => {
    vm.onAct((act) => assert.fail(act.ioctl));
    using event = EventFd.create();
    for (const refused of [
      () => vm.signalMsi({ addressLo: 0xfee0_0000, data: 0x44 }),
      () => vm.irqLine(5, true),
      () => vm.irqLineStatus(5, true),
      () => vm.assignIrqfd(event, 5),
    ])
      assert.equal(errorOf(refused).code, 'ERR_NO_IRQCHIP');
    for (const refused of [() => vm.signalMsi({ addressLo: -1, data: 0 }), () => vm.irqLine(-1, true)])
      assert.equal(errorOf(refused).code, 'ERR_ARGUMENT');
  });
});
