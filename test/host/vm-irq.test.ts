import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  defaultGsiRouting,
  EventFd,
  flat32,
  hlt,
  type Instruction,
  type IoctlError,
  nop,
  out8,
  out8Value,
  spin,
  sti,
  type Vm,
  write32,
} from '../../lib/index.ts';
import { DONE, type Guest, HANDLERS, lacks, VECTOR, vectorOf, withGuest } from '../support/guest32.ts';
import { errorOf, noKvm } from '../support/host.ts';

const LAPIC_EOI = 0xfee0_00b0;

/** Spins with interrupts on, its LAPIC enabled and the PICs masked, with handlers for these vectors. */
function listen(g: Guest, ...vectors: number[]): void {
  g.handle(...vectors);
  g.load([sti, nop, spin]);
  if (g.vm.irqchip === 'none') return;
  g.vcpu.setLapicRegisters({ SVR: 0x1ff });
  if (g.vm.irqchip === 'full') g.vm.setIrqchip('picMaster', { imr: 0xff });
}

function routePin(vm: Vm, pin: number, entry: bigint): void {
  const { redirtbl } = vm.getIrqchip('ioapic');
  redirtbl[pin] = entry;
  vm.setIrqchip('ioapic', { redirtbl });
}

test('KVM_GET_IRQCHIP and KVM_SET_IRQCHIP: what was set is read, of all three chips', { skip: noKvm }, () => {
  withGuest({}, ({ vm }) => {
    assert.equal(vm.irqchip, 'full');
    assert.equal(vm.getIrqchip('ioapic').baseAddress, 0xfec0_0000n);
    routePin(vm, 3, 0x0100_0000_0001_0033n);
    assert.equal(vm.getIrqchip('ioapic').redirtbl[3], 0x0100_0000_0001_0033n);
    for (const [chip, imr] of [
      ['picMaster', 0x5a],
      ['picSlave', 0xa5],
    ] as const) {
      vm.setIrqchip(chip, { imr, irqBase: imr & 0xf8 });
      assert.deepEqual([vm.getIrqchip(chip).imr, vm.getIrqchip(chip).irqBase], [imr, imr & 0xf8]);
    }
    assert.equal(errorOf(() => vm.getIrqchip('lapic' as never)).code, 'ERR_ARGUMENT');
  });
});

test('KVM_IRQ_LINE: by the IOAPIC to the guest', { skip: noKvm }, () => {
  withGuest({}, (g) => {
    listen(g, 0x51);
    routePin(g.vm, 17, 0x51n);
    g.vm.irqLine(17, true);
    assert.equal(vectorOf(g.run()), 0x51);
  });
});

test('KVM_IRQ_LINE: by the PIC to the guest', { skip: noKvm }, () => {
  withGuest({}, (g) => {
    g.handle(0x23);
    g.load([sti, nop, spin]);
    // The PIC's interrupts come by LINT0 in virtual wire mode, as after reset.
    g.vm.setIrqchip('picMaster', { imr: 0xf7, irqBase: 0x20 });
    g.vm.irqLine(3, true);
    assert.equal(vectorOf(g.run()), 0x23);
  });
});

test('KVM_IRQ_LINE_STATUS tells delivered, coalesced and ignored', { skip: noKvm }, () => {
  withGuest({}, (g) => {
    listen(g, 0x51);
    assert.equal(g.vm.irqLineStatus(18, true), 'ignored', 'the pin is masked');
    g.vm.irqLine(18, false);
    routePin(g.vm, 18, 0x51n);
    assert.deepEqual(g.vm.irqLineStatus(18, true), { delivered: 1 });
    assert.equal(g.vm.irqLineStatus(18, true), 'coalesced', 'the line is high already');
    assert.equal(vectorOf(g.run()), 0x51);
  });
});

test('KVM_SIGNAL_MSI reaches the vCPU that its address names', { skip: noKvm }, () => {
  withGuest({}, (g) => {
    const other = g.vm.createVcpu(3);
    other.setLapicRegisters({ SVR: 0x1ff });
    listen(g, 0x61);
    assert.equal(g.vm.signalMsi({ addressLo: 0xfee0_3000, data: 0x62 }), true);
    assert.deepEqual([other.lapic().irr, g.vcpu.lapic().irr], [[0x62], []]);
    assert.equal(g.vm.signalMsi({ addressLo: 0xfee0_0000, data: 0x61 }), true);
    assert.equal(vectorOf(g.run()), 0x61);
  });
});

test('KVM_SET_GSI_ROUTING: a gsi becomes a message; the default routes come back', { skip: noKvm }, () => {
  withGuest({}, (g) => {
    listen(g, 0x71, 0x72);
    assert.equal(g.vm.gsiRouting === null, true, "the irqchip's own");
    g.vm.setGsiRouting([...defaultGsiRouting(), { type: 'msi', gsi: 40, addressLo: 0xfee0_0000, data: 0x71 }]);
    g.vm.irqLine(40, true);
    assert.deepEqual(g.vcpu.lapic().irr, [0x71]);
    assert.equal(vectorOf(g.run()), 0x71);
    // A pin of the IOAPIC under another gsi.
    routePin(g.vm, 4, 0x72n);
    g.vm.setGsiRouting([{ type: 'irqchip', gsi: 99, irqchip: 'ioapic', pin: 4 }]);
    g.vm.irqLine(99, true);
    assert.ok(g.vcpu.lapic().irr.includes(0x72));
    assert.deepEqual(
      g.vm.gsiRouting?.map(({ gsi }) => gsi),
      [99],
    );
  });
});

test('routes that are none', { skip: noKvm }, () => {
  withGuest({}, ({ vm }) => {
    const refused = (route: object) => errorOf(() => vm.setGsiRouting([route as never])).code;
    assert.equal(refused({ type: 'irqchip', gsi: 1, irqchip: 'ioapic', pin: 24 }), 'ERR_ARGUMENT');
    assert.equal(refused({ type: 'irqchip', gsi: 1, irqchip: 'picSlave', pin: 8 }), 'ERR_ARGUMENT');
    assert.equal(refused({ type: 'irqchip', gsi: 1, irqchip: 'lapic', pin: 8 }), 'ERR_ARGUMENT');
    assert.equal(refused({ type: 'msi', gsi: -1, addressLo: 0, data: 0 }), 'ERR_ARGUMENT');
    assert.equal(refused({ type: 'msi', gsi: 1, addressLo: 2 ** 32, data: 0 }), 'ERR_ARGUMENT');
    assert.equal(refused({ type: 'hvSint', gsi: 1, vcpu: 0, sint: 16 }), 'ERR_ARGUMENT');
    assert.equal(refused({ type: 'wire', gsi: 1 }), 'ERR_ARGUMENT');
    assert.equal(refused({ type: 'msi', gsi: 5000, addressLo: 0xfee0_0000, data: 1 }), 'ERR_IOCTL');
    assert.equal(errorOf(() => vm.setGsiRouting(null as never)).code, 'ERR_ARGUMENT');
    assert.deepEqual(vm.gsiRouting, null);
  });
});

test('a route to a SynIC interrupt source is taken', { skip: noKvm || lacks('KVM_CAP_HYPERV_SYNIC') }, () => {
  withGuest({}, ({ vm }) => {
    vm.setGsiRouting([{ type: 'hvSint', gsi: 30, vcpu: 0, sint: 2 }]);
  });
});

test('a route to a SynIC interrupt source, on a kernel without SynIC, is refused', {
  skip: noKvm || (lacks('KVM_CAP_HYPERV_SYNIC') === false && 'this kernel has SynIC'),
}, () => {
  withGuest({}, ({ vm }) => {
    const error = errorOf(() => vm.setGsiRouting([{ type: 'hvSint', gsi: 30, vcpu: 0, sint: 2 }])) as IoctlError;
    assert.deepEqual([error.ioctl, error.errnoName], ['KVM_SET_GSI_ROUTING', 'EINVAL']);
  });
});

test('KVM_IRQFD: a write to the event is an interrupt; deassigned it is none', { skip: noKvm }, () => {
  withGuest({}, (g) => {
    using event = EventFd.create();
    listen(g, 0x81);
    g.vm.setGsiRouting([{ type: 'msi', gsi: 40, addressLo: 0xfee0_0000, data: 0x81 }]);
    g.vm.assignIrqfd(event, 40);
    event.write();
    assert.equal(vectorOf(g.run()), 0x81);
    assert.equal(event.read(), null, 'KVM took the count');
    g.vm.deassignIrqfd(event, 40);
    g.vcpu.setLapicRegisters({ IRR4: 0, ISR4: 0 });
    event.write();
    assert.deepEqual(g.vcpu.lapic().irr, []);
    assert.equal(event.read(), 1n, 'nobody took it');
  });
});

/** Its handler ends the interrupt, then tells the vector. */
function endInterrupt(g: Guest, vector: number): void {
  const handler: Instruction[] = [write32(LAPIC_EOI, 0), out8Value(VECTOR, vector), hlt];
  g.memory.write(HANDLERS + vector * 16, flat32(...handler).bytes);
}

test('an irqfd outlives the EventFd object that it was made from', {
  skip: noKvm || lacks('KVM_CAP_IRQFD_RESAMPLE'),
}, async () => {
  await withGuest({}, async (g) => {
    using resample = EventFd.create();
    const event = EventFd.create();
    listen(g, 0x82);
    endInterrupt(g, 0x82);
    routePin(g.vm, 20, 0x82n | (1n << 15n));
    g.vm.assignIrqfd(event, 20, { resample });
    event.write();
    event.close();
    assert.equal(vectorOf(g.run()), 0x82);
    // KVM drops an irqfd, and its resampler, when the last holder closes the event.
    assert.equal(await resample.wait('5s'), 1n);
  });
});

test('KVM_IRQFD with resample: the EOI lowers the line and signals', {
  skip: noKvm || lacks('KVM_CAP_IRQFD_RESAMPLE'),
}, async () => {
  await withGuest({}, async (g) => {
    using event = EventFd.create();
    using resample = EventFd.create();
    listen(g, 0x91);
    endInterrupt(g, 0x91);
    routePin(g.vm, 19, 0x91n | (1n << 15n));
    g.vm.assignIrqfd(event, 19, { resample });
    event.write();
    assert.equal(vectorOf(g.run()), 0x91);
    assert.equal(await resample.wait('5s'), 1n);
    assert.equal(g.vm.getIrqchip('ioapic').irr & (1 << 19), 0, 'the line is low');
    g.vm.deassignIrqfd(event, 19);
  });
});

test('irqfds that are none', { skip: noKvm }, () => {
  withGuest({}, ({ vm }) => {
    using event = EventFd.create();
    vm.assignIrqfd(event, 5);
    const twice = errorOf(() => vm.assignIrqfd(event, 5)) as IoctlError;
    assert.deepEqual([twice.ioctl, twice.errnoName], ['KVM_IRQFD', 'EBUSY']);
    assert.equal(errorOf(() => vm.assignIrqfd(event, -1)).code, 'ERR_ARGUMENT');
    assert.equal(errorOf(() => vm.assignIrqfd(event, 100_000)).code, 'ERR_IOCTL');
    const closed = EventFd.create();
    closed.close();
    assert.equal(errorOf(() => vm.assignIrqfd(closed, 6)).code, 'ERR_CLOSED');
  });
});

test('without an irqchip each of these says so', { skip: noKvm }, () => {
  withGuest({ irqchip: 'none' }, ({ vm, vcpu }) => {
    using event = EventFd.create();
    for (const [what, use] of Object.entries({
      KVM_GET_IRQCHIP: () => vm.getIrqchip('ioapic'),
      KVM_IRQ_LINE: () => vm.irqLine(1, true),
      KVM_IRQ_LINE_STATUS: () => vm.irqLineStatus(1, true),
      KVM_SIGNAL_MSI: () => vm.signalMsi({ addressLo: 0xfee0_0000, data: 0x41 }),
      KVM_IRQFD: () => vm.assignIrqfd(event, 1),
      KVM_CREATE_PIT2: () => vm.createPit2(),
      KVM_GET_PIT2: () => vm.getPit2(),
      KVM_REINJECT_CONTROL: () => vm.setPitReinject(true),
      KVM_GET_LAPIC: () => vcpu.getLapic(),
      KVM_SET_LAPIC: () => vcpu.setLapic(new Uint8Array(1024)),
    })) {
      const error = errorOf(use) as IoctlError;
      assert.deepEqual([error.code, error.ioctl], ['ERR_NO_IRQCHIP', what]);
      assert.ok(error.errno > 0);
    }
  });
});

test('KVM_CREATE_PIT2, KVM_GET_PIT2, KVM_SET_PIT2', { skip: noKvm || lacks('KVM_CAP_PIT2') }, () => {
  withGuest({ prepare: (vm) => vm.createPit2() }, (g) => {
    assert.equal((errorOf(() => g.vm.createPit2()) as IoctlError).errnoName, 'EEXIST');
    const { channels } = g.vm.getPit2();
    assert.equal(channels.length, 3);
    channels[2]!.count = 0x1234;
    g.vm.setPit2({ channels, flags: 0 });
    assert.equal(g.vm.getPit2().channels[2]!.count, 0x1234);
    // The guest programs channel 2: mode 3, then the divisor, low byte first.
    g.load([out8Value(0x43, 0xb6), out8Value(0x42, 0x34), out8Value(0x42, 0x12), out8(DONE)]);
    const exit = g.run();
    assert.equal(exit.name === 'KVM_EXIT_IO' && exit.port, DONE, 'the PIT took its ports');
    assert.deepEqual([g.vm.getPit2().channels[2]!.mode, g.vm.getPit2().channels[2]!.count], [3, 0x1234]);
  });
});

test('the PIT interrupts; without reinjection too', { skip: noKvm || lacks('KVM_CAP_PIT2') }, () => {
  for (const reinject of [true, false])
    withGuest({ prepare: (vm) => vm.createPit2() }, (g) => {
      g.vm.setPitReinject(reinject);
      g.handle(0x20);
      g.vm.setIrqchip('picMaster', { imr: 0xfe, irqBase: 0x20 });
      // Channel 0, mode 2, a divisor of 0x1000: about 3.4 ms.
      g.load([out8Value(0x43, 0x34), out8Value(0x40, 0), out8Value(0x40, 0x10), sti, nop, spin]);
      assert.equal(vectorOf(g.run()), 0x20);
    });
});

test('a split irqchip: LAPICs in the kernel, and no IOAPIC', { skip: noKvm || lacks('KVM_CAP_SPLIT_IRQCHIP') }, () => {
  withGuest({ irqchip: 'split' }, (g) => {
    listen(g, 0xa1);
    assert.equal(g.vm.irqchip, 'split');
    assert.equal(errorOf(() => g.vm.getIrqchip('ioapic')).code, 'ERR_NO_IRQCHIP');
    g.vm.signalMsi({ addressLo: 0xfee0_0000, data: 0xa1 });
    assert.equal(vectorOf(g.run()), 0xa1);
    assert.equal(errorOf(() => g.vm.enableSplitIrqchip(-1)).code, 'ERR_ARGUMENT');
  });
});

test('KVM_SET_BOOT_CPU_ID: another vCPU starts by itself', { skip: noKvm || lacks('KVM_CAP_SET_BOOT_CPU_ID') }, () => {
  withGuest({ prepare: (vm) => vm.setBootCpuId(7) }, ({ vm, vcpu }) => {
    const boot = vm.createVcpu(7);
    assert.deepEqual([boot.getMpState(), vcpu.getMpState()], [0, 1]);
    assert.equal((errorOf(() => vm.setBootCpuId(1)) as IoctlError).errnoName, 'EBUSY');
    assert.equal(vm.setup.bootCpuId, 7);
    assert.equal(boot.getSregs().apicBase & 0x100n, 0x100n, 'APIC_BASE.BSP');
  });
});
