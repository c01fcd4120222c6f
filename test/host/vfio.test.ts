/**
 * KVM's VFIO device, VFIO's own files, and IRQ forwarding: every line of the contract of "KVM: kvm-vfio: User API for IRQ
 * forwarding", on the lab's function and kernel.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  bindVfioPci,
  EventFd,
  enableIrqForwarding,
  type IoctlError,
  IrqSignaledError,
  irqForwarding,
  Kvm,
  labFunction,
  pciFunctions,
  UnsupportedError,
  VfioContainer,
  type VfioFiles,
  VfioGroup,
  type VfioPseudoDevice,
  type Vm,
  vfioPciIrqs,
} from '../../lib/index.ts';
import { errorOf, noKvm } from '../support/host.ts';

const { VFIO_PCI_INTX_IRQ_INDEX: INTX, VFIO_PCI_MSIX_IRQ_INDEX: MSIX, VFIO_PCI_REQ_IRQ_INDEX: REQ } = vfioPciIrqs;
const irq = { index: INTX, gsi: 20 };

const found = labFunction();
const noFunction = noKvm || (found ? false : 'there is no PCI function for VFIO here: the lab has one');
const noForwarding =
  noFunction || (irqForwarding() === null ? 'this kernel forwards no IRQs: it lacks CONFIG_KVM_DSM_VFIO' : false);
const noType = noKvm || (hasType() ? false : 'this kernel has no VFIO device (CONFIG_KVM_VFIO)');

function hasType(): boolean {
  using kvm = Kvm.open();
  using vm = kvm.createVm();
  return vm.hasDeviceType(4);
}

// biome-ignore lint/suspicious/noExplicitAny: these are what the types refuse.
const wrong = (value: unknown): any => value;
const errnoOf = (action: () => unknown): string => (errorOf(action) as IoctlError).errnoName;

function withVm<T>(action: (vm: Vm) => T): T {
  using kvm = Kvm.open();
  using vm = kvm.createVm();
  return action(vm);
}

/** The lab's function, open, and a device that forwards IRQs. */
function withForwarder(action: (device: VfioPseudoDevice, files: VfioFiles, vm: Vm) => void): void {
  using binding = bindVfioPci(found!.address, { noIommu: true });
  using files = binding.open();
  withVm((vm) => {
    using on = enableIrqForwarding();
    using device = vm.createDevice('vfio');
    on[Symbol.dispose]();
    action(device, files, vm);
  });
}

test("vm.createDevice('vfio') is the VFIO device: one for each VM, for as long as it is open", { skip: noType }, () => {
  withVm((vm) => {
    const device = vm.createDevice('vfio');
    assert.equal(device.type, 4);
    assert.equal(
      errnoOf(() => vm.createDevice('vfio')),
      'EBUSY',
    );
    assert.equal(
      errnoOf(() => vm.createDevice(4)),
      'EBUSY',
    );
    device.close();
    vm.createDevice(4).close();
    assert.equal(errorOf(() => device.addFile(wrong(null))).code, 'ERR_ARGUMENT');
    assert.equal(errorOf(() => device.forwardsIrqs).code, 'ERR_CLOSED');
    assert.equal(errorOf(() => vm.createDevice(wrong('vfi'))).code, 'ERR_ARGUMENT');
  });
});

test('files that are none of VFIO are refused before the kernel is asked', { skip: noType }, () => {
  withVm((vm) => {
    using device = vm.createDevice('vfio');
    using event = EventFd.create();
    for (const value of [null, 0, -1, 'vfio', {}, event]) {
      assert.equal(errorOf(() => device.addFile(wrong(value))).code, 'ERR_ARGUMENT');
      assert.equal(errorOf(() => device.removeFile(wrong(value))).code, 'ERR_ARGUMENT');
      assert.equal(errorOf(() => device.forwardIrq(wrong(value), irq)).code, 'ERR_ARGUMENT');
      assert.equal(errorOf(() => device.unforwardIrq(wrong(value), irq)).code, 'ERR_ARGUMENT');
    }
    assert.equal(
      errnoOf(() => device.setAttr({ group: 1, attr: 1 }, new Uint8Array(4), event)),
      'EINVAL',
    );
    assert.equal(
      errnoOf(() => device.setAttr({ group: 1, attr: 2 }, new Uint8Array(4), event)),
      'ENOENT',
    );
    for (const which of [
      { group: 1, attr: 4 },
      { group: 3, attr: 1 },
      { group: 2, attr: 1 },
    ])
      assert.equal(
        errnoOf(() => device.setAttr(which, new Uint8Array(16), event)),
        'ENXIO',
      );
    assert.equal(
      errnoOf(() => device.getAttr({ group: 1, attr: 1 }, 4)),
      'EPERM',
    );
    assert.equal(device.forwardsIrqs, false, 'it was created with the extension off, or there is none');
  });
});

test('names of groups and addresses of functions', () => {
  for (const name of ['', '.', '../kvm', 'vfio', 'noiommu-', '-1', '1.5', '9999999999', 7, null])
    assert.equal(errorOf(() => VfioGroup.open(wrong(name))).code, 'ERR_ARGUMENT', String(name));
  assert.equal(errorOf(() => VfioGroup.open('999999999')).code, 'ERR_IOCTL', 'there is none such');
  for (const address of ['', '0000:00:00.9', '../0000:00:00.0', null])
    assert.equal(errorOf(() => bindVfioPci(wrong(address))).code, 'ERR_ARGUMENT', String(address));
});

test('a function that a driver has stays with it', {
  skip: noFunction || (pciFunctions().some(({ driver }) => driver !== null) ? false : 'no function has a driver'),
}, () => {
  const { address, driver } = pciFunctions().find((one) => one.driver !== null)!;
  assert.match(errorOf(() => bindVfioPci(address, { noIommu: true })).message, new RegExp(driver!));
  assert.equal(errorOf(() => bindVfioPci(found!.address)).code, 'ERR_ARGUMENT', 'without IOMMU, and not asked for');
});

test('a binding that fails leaves nothing behind', { skip: noFunction }, () => {
  const probe = '/sys/bus/pci/drivers_probe';
  const busybox = (...args: string[]) => execFileSync('/bin/busybox', args);
  // What is written there finds no space.
  busybox('mount', '--bind', '/dev/full', probe);
  try {
    const error = errorOf(() => bindVfioPci(found!.address, { noIommu: true }));
    assert.ok(error instanceof UnsupportedError);
    assert.match(error.message, /drivers_probe/);
  } finally {
    busybox('umount', probe);
  }
  assert.equal(readFileSync(`/sys/bus/pci/devices/${found!.address}/driver_override`, 'ascii'), '(null)\n');
  assert.equal(readFileSync('/sys/module/vfio/parameters/enable_unsafe_noiommu_mode', 'ascii'), 'N\n');
  bindVfioPci(found!.address, { noIommu: true })[Symbol.dispose]();
});

test('a container, its group and its device: opened, told of, closed', { skip: noFunction }, () => {
  using binding = bindVfioPci(found!.address, { noIommu: true });
  assert.equal(binding.noIommu, true);
  {
    using lone = VfioContainer.open();
    assert.equal(
      errnoOf(() => lone.setIommu('VFIO_NOIOMMU_IOMMU')),
      'EINVAL',
      'without a group',
    );
    using group = VfioGroup.open(binding.group);
    assert.equal(group.viable, true);
    assert.equal(
      errnoOf(() => VfioGroup.open(binding.group)),
      'EBUSY',
      'one opens it at a time',
    );
    assert.equal(
      errnoOf(() => group.openDevice(found!.address)),
      'EINVAL',
      'without a container',
    );
    group.setContainer(lone);
    assert.equal(
      errnoOf(() => group.setContainer(lone)),
      'EINVAL',
      'it has one',
    );
    lone.setIommu('VFIO_NOIOMMU_IOMMU');
    assert.equal(lone.supports('VFIO_NOIOMMU_IOMMU'), true);
    assert.equal(
      errnoOf(() => group.openDevice('0000:00:00.9')),
      'ENODEV',
    );
  }
  const files = binding.open();
  assert.equal(
    errnoOf(() => binding[Symbol.dispose]()),
    'EBUSY',
    'in use',
  );
  const { device } = files;
  assert.deepEqual([device.info().pci, device.info().irqs], [true, 5]);
  assert.equal(device.irqInfo(INTX).count, 1);
  assert.equal(device.irqInfo(INTX).automasked, true);
  assert.equal(device.read(7, 0, 2), found!.vendor);
  assert.equal(device.read(7, 2, 2), found!.device);
  assert.equal(
    errnoOf(() => device.read(0, device.regionSize(0) - 2, 4)),
    'ERANGE',
  );
  assert.equal(errorOf(() => device.write(wrong(7), 4, 2, 4)).code, 'ERR_ARGUMENT', 'no configuration space');
  assert.equal(errorOf(() => device.write(0, 0, 2, 0x1_0000)).code, 'ERR_ARGUMENT');
  assert.equal(errorOf(() => device.signalIrqs(INTX, [])).code, 'ERR_ARGUMENT');
  assert.equal(errorOf(() => device.signalIrqs(INTX, wrong([1]))).code, 'ERR_ARGUMENT');
  assert.equal(
    errnoOf(() => device.disableIrqs(INTX)),
    'EINVAL',
    'it is not on',
  );
  using event = EventFd.create();
  device.signalIrqs(INTX, [event]);
  device.triggerIrqs(INTX);
  assert.equal(event.read(), 1n);
  device.disableIrqs(INTX);
  files[Symbol.dispose]();
  assert.equal(errorOf(() => device.info()).code, 'ERR_CLOSED');
  assert.equal(errorOf(() => files.group.viable).code, 'ERR_CLOSED');
});

test('files are added once and removed once, and a closed one is none', { skip: noFunction }, () => {
  using binding = bindVfioPci(found!.address, { noIommu: true });
  using files = binding.open();
  withVm((vm) => {
    using device = vm.createDevice('vfio');
    for (const file of [files.group, files.device]) {
      const none = errorOf(() => device.removeFile(file)) as IoctlError;
      assert.deepEqual([none.code, none.ioctl, none.errnoName], ['ERR_IOCTL', 'KVM_SET_DEVICE_ATTR', 'ENOENT']);
      device.addFile(file);
      const twice = errorOf(() => device.addFile(file)) as IoctlError;
      assert.deepEqual([twice.ioctl, twice.errnoName], ['KVM_SET_DEVICE_ATTR', 'EEXIST']);
      assert.match(twice.message, /added already/);
      device.removeFile(file);
      assert.equal(
        errnoOf(() => device.removeFile(file)),
        'ENOENT',
      );
    }
    const container = files.container;
    assert.equal(errorOf(() => device.addFile(wrong(container))).code, 'ERR_ARGUMENT');
    assert.equal(
      errnoOf(() => device.setAttr({ group: 1, attr: 1 }, new Uint8Array(4), container)),
      'EINVAL',
    );
    files.device.close();
    assert.equal(errorOf(() => device.addFile(files.device)).code, 'ERR_CLOSED');
    assert.equal(errorOf(() => device.forwardIrq(files.device, irq)).code, 'ERR_CLOSED');
  });
});

test('a kernel without IRQ forwarding, or with it off: not supported, and what to do', { skip: noFunction }, () => {
  using binding = bindVfioPci(found!.address, { noIommu: true });
  using files = binding.open();
  withVm((vm) => {
    using device = vm.createDevice('vfio');
    assert.equal(device.forwardsIrqs, false);
    for (const call of ['forwardIrq', 'unforwardIrq'] as const) {
      const error = errorOf(() => device[call](files.device, irq)) as UnsupportedError;
      assert.ok(error instanceof UnsupportedError);
      assert.deepEqual([error.missing, error.kconfig], ['KVM_DEV_VFIO_DEVICE', 'CONFIG_KVM_DSM_VFIO']);
      assert.match(error.advice, /enableIrqForwarding\(\)/);
      assert.equal((error.cause as IoctlError).errnoName, 'ENXIO');
    }
  });
});

test('enableIrqForwarding counts for devices that are created while it holds', { skip: noForwarding }, () => {
  assert.equal(irqForwarding(), false);
  withVm((vm) => {
    const before = vm.createDevice('vfio');
    {
      using _ = enableIrqForwarding();
      assert.equal(irqForwarding(), true);
      assert.equal(before.forwardsIrqs, false);
      before.close();
      using within = vm.createDevice('vfio');
      assert.equal(within.forwardsIrqs, true);
    }
    assert.equal(irqForwarding(), false);
  });
});

test('forwarding is set once and undone once', { skip: noForwarding }, () => {
  withForwarder((device, files) => {
    const { device: adapter } = files;
    assert.equal(device.forwardsIrqs, true);
    const none = errorOf(() => device.unforwardIrq(adapter, irq)) as IoctlError;
    assert.deepEqual([none.ioctl, none.errnoName], ['KVM_SET_DEVICE_ATTR', 'ENOENT']);
    device.forwardIrq(adapter, irq);
    assert.equal(
      errnoOf(() => device.forwardIrq(adapter, irq)),
      'EEXIST',
    );
    assert.equal(
      errnoOf(() => device.forwardIrq(adapter, { ...irq, gsi: 21 })),
      'EEXIST',
      'to another GSI',
    );
    assert.equal(
      errnoOf(() => device.unforwardIrq(adapter, { ...irq, gsi: 21 })),
      'ENOENT',
    );
    device.unforwardIrq(adapter, irq);
    device.forwardIrq(adapter, { ...irq, gsi: 21 });
  });
});

test('an IRQ that is signalled is busy, in both directions', { skip: noForwarding }, () => {
  withForwarder((device, { device: adapter }) => {
    using event = EventFd.create();
    adapter.signalIrqs(INTX, [event]);
    const busy = errorOf(() => device.forwardIrq(adapter, irq)) as IrqSignaledError;
    assert.ok(busy instanceof IrqSignaledError);
    assert.deepEqual([busy.code, busy.ioctl, busy.errnoName], ['ERR_IRQ_SIGNALED', 'KVM_SET_DEVICE_ATTR', 'EBUSY']);
    assert.match(busy.message, new RegExp(`IRQ 0\\.0 of ${adapter.address}`));
    assert.match(busy.advice, /disableIrqs/);
    adapter.disableIrqs(INTX);

    device.forwardIrq(adapter, irq);
    adapter.signalIrqs(INTX, [event]);
    assert.equal(errorOf(() => device.unforwardIrq(adapter, irq)).code, 'ERR_IRQ_SIGNALED');
    assert.equal(errorOf(() => device.forwardIrq(adapter, irq)).code, 'ERR_IRQ_SIGNALED');
    adapter.signalIrqs(INTX, [null]);
    device.unforwardIrq(adapter, irq);
    assert.equal(
      errnoOf(() => device.unforwardIrq(adapter, irq)),
      'ENOENT',
    );
    adapter.disableIrqs(INTX);
  });
});

test('IRQs and GSIs that there are not', { skip: noForwarding }, () => {
  withForwarder((device, { container, group, device: adapter }) => {
    const more = [{ index: MSIX, subindex: adapter.irqInfo(MSIX).count }];
    for (const part of [{ index: 5 }, { index: REQ }, { subindex: 1 }, { gsi: 4096 }, { gsi: 2 ** 32 - 1 }, ...more])
      assert.equal(
        errnoOf(() => device.forwardIrq(adapter, { ...irq, ...part })),
        'EINVAL',
        JSON.stringify(part),
      );
    for (const part of [
      { index: -1 },
      { index: 2 ** 32 },
      { subindex: 0.5 },
      { gsi: wrong('20') },
      { gsi: wrong(null) },
    ])
      assert.equal(errorOf(() => device.forwardIrq(adapter, { ...irq, ...part })).code, 'ERR_ARGUMENT');
    assert.equal(errorOf(() => device.forwardIrq(adapter, wrong(null))).code, 'ERR_ARGUMENT');
    using event = EventFd.create();
    const set = (attr: number, file: EventFd | VfioGroup | VfioContainer) =>
      errnoOf(() => device.setAttr({ group: 2, attr }, new Uint8Array(16), file));
    for (const file of [event, group, container]) assert.deepEqual([set(1, file), set(2, file)], ['EINVAL', 'EINVAL']);
    assert.deepEqual([set(0, event), set(3, event)], ['ENXIO', 'ENXIO']);
  });
});

test("forwarding ends with the device, and is one VM's at a time", { skip: noForwarding }, () => {
  withForwarder((device, { device: adapter }) => {
    device.forwardIrq(adapter, irq);
    withVm((vm) => {
      using on = enableIrqForwarding();
      using second = vm.createDevice('vfio');
      on[Symbol.dispose]();
      assert.equal(
        errnoOf(() => second.forwardIrq(adapter, irq)),
        'EEXIST',
      );
      assert.equal(
        errnoOf(() => second.unforwardIrq(adapter, irq)),
        'ENOENT',
      );
      device.close();
      second.forwardIrq(adapter, irq);
    });
  });
});
