import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  EventFd,
  type Instruction,
  type IoctlError,
  type MsrFilter,
  mov32,
  out8,
  out8Value,
  rdmsr,
  store32,
  type Vm,
  write16,
  write32,
  wrmsr,
} from '../../lib/index.ts';
import { DATA, DONE, type Guest, lacks, vectorOf, withGuest } from '../support/guest32.ts';
import { errorOf, noKvm } from '../support/host.ts';

const MMIO = 0x3000_0000;
const GP = 13;

function assertDone(g: Guest): void {
  const exit = g.run();
  assert.equal(exit.name === 'KVM_EXIT_IO' && exit.port, DONE, exit.name);
}

test('KVM_IOEVENTFD: a port and an address; the guest stays in KVM', { skip: noKvm }, () => {
  withGuest({}, (g) => {
    using port = EventFd.create();
    using mmio = EventFd.create();
    g.vm.assignIoeventfd(port, { address: 0x60, pio: true, length: 1 });
    g.vm.assignIoeventfd(mmio, { address: MMIO, length: 4 });
    g.load([out8Value(0x60, 1), out8Value(0x60, 2), write32(MMIO, 5), out8(DONE)]);
    assertDone(g);
    assert.deepEqual([port.read(), mmio.read()], [2n, 1n]);
  });
});

test('KVM_IOEVENTFD: another length is an exit; length 0 is any', {
  skip: noKvm || lacks('KVM_CAP_IOEVENTFD_ANY_LENGTH'),
}, () => {
  withGuest({}, (g) => {
    using exact = EventFd.create();
    using any = EventFd.create();
    g.vm.assignIoeventfd(exact, { address: MMIO, length: 4 });
    g.vm.assignIoeventfd(any, { address: MMIO + 0x1000, length: 0 });
    g.load([write16(MMIO + 0x1000, 1), write32(MMIO + 0x1000, 1), write16(MMIO, 1), out8(DONE)]);
    assert.equal(g.run().name, 'KVM_EXIT_MMIO');
    assert.deepEqual([exact.read(), any.read()], [null, 2n]);
    assertDone(g);
  });
});

test('KVM_IOEVENTFD_FLAG_DATAMATCH, and deassign', { skip: noKvm }, () => {
  withGuest({}, (g) => {
    using one = EventFd.create();
    using two = EventFd.create();
    const place = { address: MMIO, length: 4 } as const;
    g.vm.assignIoeventfd(one, { ...place, datamatch: 1 });
    g.vm.assignIoeventfd(two, { ...place, datamatch: 2n });
    g.load([write32(MMIO, 2), write32(MMIO, 2), write32(MMIO, 3), write32(MMIO, 1), out8(DONE)]);
    const exit = g.run();
    assert.deepEqual([exit.name === 'KVM_EXIT_MMIO' && exit.data[0], one.read(), two.read()], [3, null, 2n]);
    g.vm.deassignIoeventfd(one, { ...place, datamatch: 1 });
    assert.equal(g.run().name, 'KVM_EXIT_MMIO', 'the write of 1 leaves now');
    assertDone(g);
    assert.equal(one.read(), null);
    const gone = errorOf(() => g.vm.deassignIoeventfd(one, { ...place, datamatch: 1 })) as IoctlError;
    assert.deepEqual([gone.ioctl, gone.errnoName], ['KVM_IOEVENTFD', 'ENOENT']);
    const twice = errorOf(() => g.vm.assignIoeventfd(one, { ...place, datamatch: 2 })) as IoctlError;
    assert.equal(twice.errnoName, 'EEXIST');
  });
});

test('ioeventfds that are none', { skip: noKvm }, () => {
  withGuest({}, ({ vm }) => {
    using event = EventFd.create();
    const refused = (where: object) => errorOf(() => vm.assignIoeventfd(event, where as never)).code;
    assert.equal(refused({ address: 0x10000, pio: true, length: 1 }), 'ERR_ARGUMENT');
    assert.equal(refused({ address: 0, length: 3 }), 'ERR_ARGUMENT');
    assert.equal(refused({ address: -1, length: 1 }), 'ERR_ARGUMENT');
    assert.equal(refused({ address: 0, length: 0, datamatch: 1 }), 'ERR_ARGUMENT');
    assert.equal(refused({ address: 0, length: 1, datamatch: -1 }), 'ERR_ARGUMENT');
  });
});

test('coalesced MMIO: writes wait in the ring, in order, until they are taken', {
  skip: noKvm || lacks('KVM_CAP_COALESCED_MMIO'),
}, () => {
  withGuest({}, (g) => {
    g.vm.registerCoalesced({ address: MMIO, size: 0x1000 });
    g.load([write32(MMIO, 0x0403_0201), write16(MMIO + 0x10, 0x0605), write32(MMIO + 0x2000, 9), out8(DONE)]);
    const exit = g.run();
    assert.equal(exit.name === 'KVM_EXIT_MMIO' && exit.physAddr, BigInt(MMIO + 0x2000), 'outside the zone');
    assert.deepEqual(
      g.vm.drainCoalesced().map(({ physAddr, pio, data }) => [physAddr, pio, [...data]]),
      [
        [BigInt(MMIO), false, [1, 2, 3, 4]],
        [BigInt(MMIO + 0x10), false, [5, 6]],
      ],
    );
    assert.deepEqual(g.vm.drainCoalesced(), []);
    assertDone(g);
    g.vm.unregisterCoalesced({ address: MMIO, size: 0x1000 });
    g.load([write32(MMIO, 1), out8(DONE)]);
    assert.equal(g.run().name, 'KVM_EXIT_MMIO');
  });
});

test('coalesced ports, and a ring that is full: nothing is lost', {
  skip: noKvm || lacks('KVM_CAP_COALESCED_PIO'),
}, () => {
  withGuest({}, (g) => {
    g.vm.registerCoalesced({ address: 0x70, size: 1, pio: true });
    const total = 400;
    g.load([...Array.from({ length: total }, (_, index): Instruction => out8Value(0x70, index & 0xff)), out8(DONE)]);
    const seen: number[] = [];
    for (;;) {
      const exit = g.run();
      assert.equal(exit.name, 'KVM_EXIT_IO');
      for (const { physAddr, pio, data } of g.vm.drainCoalesced()) {
        assert.deepEqual([physAddr, pio], [0x70n, true]);
        seen.push(data[0]!);
      }
      if (exit.port === DONE) break;
      // The ring was full: this one came as an exit, behind those that were in it.
      seen.push(exit.data[0]!);
    }
    assert.deepEqual(
      seen,
      Array.from({ length: total }, (_, index) => index & 0xff),
    );
  });
});

test('coalesced zones that are none, and a ring without a vCPU', { skip: noKvm }, () => {
  withGuest({}, ({ vm, vcpu }) => {
    assert.equal(errorOf(() => vm.registerCoalesced({ address: 0, size: 0 })).code, 'ERR_ARGUMENT');
    assert.equal(errorOf(() => vm.registerCoalesced({ address: 0x10000, size: 1, pio: true })).code, 'ERR_ARGUMENT');
    vcpu.close();
    assert.equal(errorOf(() => vm.drainCoalesced()).code, 'ERR_ARGUMENT');
  });
});

/** Reads an MSR to DATA, then leaves. */
const readMsr = (index: number): Instruction[] => [mov32('ecx', index), rdmsr, store32(DATA), out8(DONE)];
/** Writes eax = value, edx = 0. */
const writeMsr = (index: number, value: number): Instruction[] => [
  mov32('ecx', index),
  mov32('eax', value),
  mov32('edx', 0),
  wrmsr,
  out8(DONE),
];

const filterSkip = noKvm || lacks('KVM_CAP_X86_MSR_FILTER');
const SYSENTER_CS = 0x174;

test('KVM_X86_SET_MSR_FILTER: a denied MSR is a #GP, an allowed one is not', { skip: filterSkip }, () => {
  withGuest({}, (g) => {
    g.handle(GP);
    g.vcpu.setMsr(SYSENTER_CS, 0x77n);
    g.vm.setMsrFilter({ ranges: [{ base: 0x170, count: 8, allow: [0x175] }] });
    g.load(readMsr(SYSENTER_CS));
    assert.equal(vectorOf(g.run()), GP);
    g.load(readMsr(0x175));
    assertDone(g);
    // Reads alone.
    g.vm.setMsrFilter({ ranges: [{ base: 0x170, count: 8, write: false }] });
    g.load(writeMsr(SYSENTER_CS, 0x55));
    assertDone(g);
    assert.equal(g.vcpu.getMsr(SYSENTER_CS), 0x55n, 'user space is not filtered');
    g.vm.setMsrFilter({});
    g.load(readMsr(SYSENTER_CS));
    assertDone(g);
    assert.equal(g.memory.view.getUint32(DATA, true), 0x55);
  });
});

test('a filter that denies by default', { skip: filterSkip }, () => {
  withGuest({}, (g) => {
    g.handle(GP);
    g.vm.setMsrFilter({ defaultAllow: false, ranges: [{ base: 0x174, count: 1, allow: [0x174] }] });
    g.load(readMsr(0x174));
    assertDone(g);
    g.load(readMsr(0x175));
    assert.equal(vectorOf(g.run()), GP);
  });
});

test('filters that are none', { skip: filterSkip }, () => {
  withGuest({}, ({ vm }) => {
    const refused = (filter: MsrFilter) => errorOf(() => vm.setMsrFilter(filter)).code;
    // KVM would take these, and filter nothing.
    assert.equal(refused({ defaultAllow: false, ranges: [{ base: 0x800, count: 0x100 }] }), 'ERR_ARGUMENT');
    assert.equal(
      refused({
        ranges: [
          { base: 0x10, count: 1 },
          { base: 0x830, count: 1 },
        ],
      }),
      'ERR_ARGUMENT',
    );
    const range = { base: 0x174, count: 1 };
    assert.equal(refused({ ranges: new Array(17).fill(range) }), 'ERR_ARGUMENT');
    assert.equal(refused({ ranges: [{ base: -1, count: 1 }] }), 'ERR_ARGUMENT');
    assert.equal(refused({ ranges: [{ base: 0, count: 0 }] }), 'ERR_ARGUMENT');
    assert.equal(refused({ ranges: [{ base: 0, count: 12289 }] }), 'ERR_ARGUMENT');
    assert.equal(refused({ ranges: [{ ...range, allow: [0x173] }] }), 'ERR_ARGUMENT');
    assert.equal(refused({ ranges: [{ ...range, read: false, write: false }] }), 'ERR_ARGUMENT');
    // The kernel's own rule: nothing is denied by default without a range that says what is allowed.
    assert.equal(refused({ defaultAllow: false }), 'ERR_IOCTL');
    vm.setMsrFilter({ ranges: [{ base: 0, count: 12288, allow: [0, 12287] }] });
  });
});

const userMsrSkip = filterSkip || lacks('KVM_CAP_X86_USER_SPACE_MSR');
const denySysenter = (vm: Vm) => {
  vm.enableUserSpaceMsr(4);
  vm.setMsrFilter({ ranges: [{ base: SYSENTER_CS, count: 1 }] });
};

test('KVM_EXIT_X86_RDMSR: the guest gets what user space answers', { skip: userMsrSkip }, () => {
  withGuest({ before: denySysenter }, (g) => {
    g.load(readMsr(SYSENTER_CS));
    const exit = g.run();
    assert.equal(exit.name, 'KVM_EXIT_X86_RDMSR');
    assert.deepEqual([exit.index, exit.msrReason], [SYSENTER_CS, 4]);
    g.vcpu.completeRdmsr(0x9_1234_5678n);
    assertDone(g);
    assert.equal(g.memory.view.getUint32(DATA, true), 0x1234_5678);
    assert.equal(g.vcpu.getRegs().rdx, 9n);
  });
});

test('KVM_EXIT_X86_WRMSR: done, or a #GP', { skip: userMsrSkip }, () => {
  withGuest({ before: denySysenter }, (g) => {
    g.handle(GP);
    g.load(writeMsr(SYSENTER_CS, 0x42));
    const exit = g.run();
    assert.equal(exit.name, 'KVM_EXIT_X86_WRMSR');
    assert.deepEqual([exit.index, exit.data], [SYSENTER_CS, 0x42n]);
    g.vcpu.completeWrmsr();
    assertDone(g);
    g.load(writeMsr(SYSENTER_CS, 0x43));
    assert.equal(g.run().name, 'KVM_EXIT_X86_WRMSR');
    g.vcpu.failMsr();
    assert.equal(vectorOf(g.run()), GP);
  });
});

test('an MSR answer without its exit', { skip: noKvm }, () => {
  withGuest({}, (g) => {
    g.load([out8(DONE)]);
    assertDone(g);
    for (const answer of [() => g.vcpu.completeRdmsr(1n), () => g.vcpu.completeWrmsr(), () => g.vcpu.failMsr()])
      assert.equal(errorOf(answer).code, 'ERR_EXIT_MISMATCH');
    assert.equal(errorOf(() => g.vcpu.completeRdmsr(-1n)).code, 'ERR_ARGUMENT');
    assert.equal(errorOf(() => g.vm.enableUserSpaceMsr(8)).code, 'ERR_ARGUMENT');
  });
});

test('KVM_SET_CLOCK and KVM_GET_CLOCK', { skip: noKvm || lacks('KVM_CAP_ADJUST_CLOCK') }, () => {
  withGuest({}, ({ vm }) => {
    const year2100 = 4_102_444_800_000_000_000n;
    vm.setClock({ clock: year2100 });
    const { clock } = vm.getClock();
    assert.ok(clock >= year2100 && clock < year2100 + 60_000_000_000n, `${clock}`);
    const error = errorOf(() => vm.setClock({ clock: 0n, flags: 0x8000_0000 })) as IoctlError;
    assert.deepEqual([error.ioctl, error.errnoName], ['KVM_SET_CLOCK', 'EINVAL']);
    assert.equal(errorOf(() => vm.setClock({ clock: -1n })).code, 'ERR_ARGUMENT');
  });
});

test('KVM_CAP_X2APIC_API: 32-bit APIC ids', { skip: noKvm || lacks('KVM_CAP_X2APIC_API') }, () => {
  withGuest({ irqchip: 'split', before: (vm) => vm.enableX2apicApi(1) }, ({ vm, vcpu, kvm }) => {
    const far = vm.createVcpu(0x123);
    for (const each of [vcpu, far]) {
      each.setCpuid2(kvm.supportedCpuid());
      each.setSregs({ ...each.getSregs(), apicBase: each.getSregs().apicBase | 0xc00n });
      each.setLapicRegisters({ SVR: 0x1ff });
    }
    assert.equal(far.lapic().registers.ID, 0x123, 'the whole register is the id');
    // Bits 31:8 of the destination are in the message's upper address.
    assert.equal(vm.signalMsi({ addressLo: 0xfee2_3000, addressHi: 0x100, data: 0x66 }), true);
    assert.deepEqual([far.lapic().irr, vcpu.lapic().irr], [[0x66], []]);
    assert.equal(errorOf(() => vm.enableX2apicApi(-1)).code, 'ERR_ARGUMENT');
    assert.equal(errorOf(() => vm.enableX2apicApi(0x100)).code, 'ERR_IOCTL');
  });
});

test('KVM_ENABLE_CAP: what is missing, unknown, or carries an address', { skip: noKvm }, () => {
  withGuest({}, ({ vm, vcpu }) => {
    for (const each of [vm, vcpu]) {
      assert.equal(errorOf(() => each.enableCap('KVM_CAP_XYZ' as never)).code, 'ERR_ARGUMENT');
      assert.equal(errorOf(() => each.enableCap('KVM_CAP_IRQCHIP', [0n, 0n, 0n, 0n, 0n])).code, 'ERR_ARGUMENT');
      assert.equal(errorOf(() => each.enableCap('KVM_CAP_PCI_2_3')).code, 'ERR_UNSUPPORTED');
      assert.equal(errorOf(() => each.enableCap('KVM_CAP_IRQCHIP')).code, 'ERR_IOCTL');
      assert.equal(errorOf(() => each.enableCap('KVM_CAP_VM_COPY_ENC_CONTEXT_FROM', [3n])).code, 'ERR_IOCTL_REFUSED');
    }
  });
});

test('KVM_CREATE_DEVICE: the VFIO device, its attributes, and none', { skip: noKvm }, (t) => {
  withGuest({}, ({ vm }) => {
    assert.equal(vm.hasDeviceType(0x7fff_ffff), false);
    const none = errorOf(() => vm.createDevice(0x7fff_ffff)) as IoctlError;
    assert.deepEqual([none.ioctl, none.errnoName], ['KVM_CREATE_DEVICE', 'ENODEV']);
    assert.equal(errorOf(() => vm.createDevice(-1)).code, 'ERR_ARGUMENT');
    if (!vm.hasDeviceType(4)) {
      t.skip('this kernel has no VFIO device (CONFIG_KVM_VFIO)');
      return;
    }
    const device = vm.createDevice(4);
    using event = EventFd.create();
    assert.equal((errorOf(() => vm.createDevice(4)) as IoctlError).errnoName, 'EBUSY', 'one for each VM');
    // Group 1 is KVM_DEV_VFIO_FILE: 1 adds, 2 deletes. Group 2 is none of mainline's.
    assert.equal(device.hasAttr({ group: 1, attr: 1 }), true);
    assert.equal(device.hasAttr({ group: 2, attr: 1 }), false);
    assert.equal(errorOf(() => device.hasAttr({ group: -1, attr: 1 })).code, 'ERR_ARGUMENT');
    const payload = new Uint8Array(4);
    assert.equal(
      errorOf(() => device.setAttr({ group: 1, attr: 1 }, payload)).code,
      'ERR_ARGUMENT',
      'a number is no fd',
    );
    const notVfio = errorOf(() => device.setAttr({ group: 1, attr: 1 }, payload, event)) as IoctlError;
    assert.deepEqual([notVfio.ioctl, notVfio.errnoName], ['KVM_SET_DEVICE_ATTR', 'EINVAL']);
    const group2 = errorOf(() => device.setAttr({ group: 2, attr: 1 }, new Uint8Array(16), event)) as IoctlError;
    assert.equal(group2.errnoName, 'ENXIO');
    assert.deepEqual([...payload], [0, 0, 0, 0], 'no file descriptor comes back');
    const write = errorOf(() => device.getAttr({ group: 1, attr: 1 }, 4)) as IoctlError;
    assert.equal(write.ioctl, 'KVM_GET_DEVICE_ATTR');
    assert.equal(errorOf(() => device.getAttr({ group: 1, attr: 1 }, 65537)).code, 'ERR_ARGUMENT');
    device.close();
    device.close();
    assert.equal(errorOf(() => device.hasAttr({ group: 1, attr: 1 })).code, 'ERR_CLOSED');
  });
});

test('attributes of the KVM device and of a VM', { skip: noKvm }, (t) => {
  withGuest({}, ({ kvm, vm }) => {
    assert.equal((errorOf(() => vm.hasDeviceAttr({ group: 0, attr: 0 })) as IoctlError).errnoName, 'ENOTTY');
    if (kvm.checkExtension('KVM_CAP_SYS_ATTRIBUTES') === 0) {
      t.skip('this kernel does not offer KVM_CAP_SYS_ATTRIBUTES');
      return;
    }
    assert.equal(kvm.hasDeviceAttr({ group: 0, attr: 0 }), true);
    assert.equal(kvm.hasDeviceAttr({ group: 9, attr: 0 }), false);
    const features = new DataView(kvm.getDeviceAttr({ group: 0, attr: 0 }, 8).buffer).getBigUint64(0, true);
    assert.equal(features & 3n, 3n, 'x87 and SSE');
    assert.equal((errorOf(() => kvm.getDeviceAttr({ group: 0, attr: 9 }, 8)) as IoctlError).errnoName, 'ENXIO');
  });
});

test('KVM_GET_STATS_FD: values by name, and they move', { skip: noKvm || lacks('KVM_CAP_BINARY_STATS_FD') }, () => {
  withGuest({}, (g) => {
    const pages = g.vm.stats().get('pages_4k');
    assert.deepEqual([pages?.type, pages?.unit, pages?.values.length], ['instant', 'none', 1]);
    const before = g.vcpu.stats();
    const wait = before.get('halt_wait_ns');
    assert.deepEqual([wait?.type, wait?.unit, wait?.scale], ['cumulative', 'seconds', 1e-9]);
    assert.equal(before.get('halt_wait_hist')?.type, 'logHist');
    assert.ok(before.get('halt_wait_hist')!.values.length > 1);
    g.load([out8(DONE)]);
    for (let turn = 0; turn < 3; turn++) {
      g.load([out8(DONE)]);
      assertDone(g);
    }
    const moved = ['exits', 'io_exits', 'insn_emulation', 'req_event'].filter(
      (name) => g.vcpu.stats().get(name)!.values[0]! > before.get(name)!.values[0]!,
    );
    assert.ok(moved.length > 0, 'a guest that ran has counted something');
  });
});
