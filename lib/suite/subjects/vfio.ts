/**
 * KVM's VFIO device: the files that it is told of, and IRQ forwarding, which the lab kernel's extension has. Each check
 * switches the extension on for its own device alone.
 */

import { KVM_DEV_TYPE_VFIO } from '../../abi/kvm/index.ts';
import { KVM_DEV_VFIO_DEVICE, KVM_DEV_VFIO_FILE, vfioPciIrqs } from '../../abi/vfio.ts';
import { flat32, type Instruction, nop, out8, spin, sti, write32 } from '../../guest/bytes.ts';
import { EventFd } from '../../kvm/eventfd.ts';
import { bindVfioPci, type VfioBinding, type VfioFiles } from '../../kvm/vfio/bind.ts';
import { enableIrqForwarding, type VfioPseudoDevice } from '../../kvm/vfio/kvm-device.ts';
import { INTX, labFunction, lowerIntx, quietIntx, raiseIntx } from '../../kvm/vfio/lab-function.ts';
import type { Vm } from '../../kvm/vm/vm.ts';
import { type Check, subject, table } from '../check.ts';
import { CheckError } from '../errors.ts';
import type { CheckContext } from '../kit/context.ts';
import { Driver } from '../kit/drive.ts';
import { at, DONE_PORT } from '../kit/guests.ts';
import { irqForwarding, vfioFunction } from '../kit/needs.ts';
import { OTHER_PORT } from '../kit/writers.ts';

const DEVICE = 'Documentation/virt/kvm/devices/vfio.rst';
const KERNEL = 'virt/kvm/vfio.c';
const PATCH = 'KVM: kvm-vfio: User API for IRQ forwarding (v3 4/8, 2014)';
const EXTENSION = 'kernel/arch/x86/kvm/dsm_vfio.c';

const FORWARD = { group: KVM_DEV_VFIO_DEVICE, attr: 1 } as const;
const UNFORWARD = { group: KVM_DEV_VFIO_DEVICE, attr: 2 } as const;
const ADD = { group: KVM_DEV_VFIO_FILE, attr: 1 } as const;
const DEL = { group: KVM_DEV_VFIO_FILE, attr: 2 } as const;
const { VFIO_PCI_MSI_IRQ_INDEX: MSI, VFIO_PCI_MSIX_IRQ_INDEX: MSIX, VFIO_PCI_REQ_IRQ_INDEX: REQ } = vfioPciIrqs;

/** A GSI beyond those that a new VM routes to the PICs. */
const GSI = 20;
const VECTOR = 0x52;
const irq = { index: INTX, gsi: GSI };

const newVm = (ctx: CheckContext): Vm => ctx.own(ctx.kvm().createVm());

function deviceOf(ctx: CheckContext, vm: Vm): VfioPseudoDevice {
  if (!vm.hasDeviceType(KVM_DEV_TYPE_VFIO)) ctx.skip('this kernel has no VFIO device (CONFIG_KVM_VFIO)');
  return ctx.own(vm.createDevice('vfio'));
}

/** One that forwards IRQs. */
function forwarder(ctx: CheckContext, vm = newVm(ctx)): VfioPseudoDevice {
  using _ = enableIrqForwarding();
  return deviceOf(ctx, vm);
}

function bound(ctx: CheckContext): VfioBinding {
  const found = labFunction();
  if (!found) throw new CheckError('the PCI function for VFIO is gone');
  return ctx.own(bindVfioPci(found.address, { noIommu: true }));
}

/**
 * Its files. The function is quiet before and behind the check: not every one is reset when it is opened, and QEMU 7.2's ends
 * the emulator if MSI-X is switched on while it still sees to an INTx.
 */
function opened(ctx: CheckContext): VfioFiles {
  const files = ctx.own(bound(ctx).open());
  const quiet = () => quietIntx(files.device);
  quiet();
  ctx.own({ [Symbol.dispose]: quiet });
  return files;
}

const event = (ctx: CheckContext): EventFd => ctx.own(EventFd.create());

/** An interrupt that the check before this one left behind comes as soon as INTx is switched on: it is nobody's. */
function takeLeftover(adapter: VfioFiles['device'], signal: EventFd): void {
  quietIntx(adapter);
  adapter.unmaskIrq(INTX);
  signal.read();
}

/** The errno's name of a call, whatever class its error has; `0` if there is none. */
function answer(ctx: CheckContext, what: string, call: () => void): string {
  return ctx.answer(what, () => {
    try {
      call();
    } catch (error) {
      throw error instanceof Error && error.cause !== undefined ? error.cause : error;
    }
  });
}

const files: Check[] = [
  {
    id: 'vfio.device.one',
    claim: 'A VM has one VFIO device at a time: a second one is EBUSY, and it ends with its file',
    source: `${DEVICE}; ${KERNEL}: kvm_vfio_create`,
    run(ctx) {
      const vm = newVm(ctx);
      const first = deviceOf(ctx, vm);
      ctx.equal(
        'a second device',
        ctx.answer('KVM_CREATE_DEVICE', () => void vm.createDevice('vfio')),
        'EBUSY',
      );
      first.close();
      ctx.equal(
        'one behind the first',
        ctx.answer('KVM_CREATE_DEVICE', () => void ctx.own(vm.createDevice('vfio'))),
        '0',
      );
    },
  },
  {
    id: 'vfio.attributes.known',
    claim: 'KVM_DEV_VFIO_FILE has ADD and DEL, and another attribute or group is ENXIO',
    source: `${KERNEL}: kvm_vfio_has_attr, kvm_vfio_set_attr`,
    run(ctx) {
      const device = deviceOf(ctx, newVm(ctx));
      ctx.equal('has ADD, DEL', [device.hasAttr(ADD), device.hasAttr(DEL)], [true, true]);
      for (const which of [
        { group: KVM_DEV_VFIO_FILE, attr: 4 },
        { group: 0, attr: 1 },
        { group: 3, attr: 1 },
        { group: 0xffff_ffff, attr: 0xffff_ffff_ffff_ffffn },
      ]) {
        ctx.equal(`has attribute ${which.attr} of group ${which.group}`, device.hasAttr(which), false);
        const set = () => device.setAttr(which, new Uint8Array(16), event(ctx));
        ctx.equal(
          `set attribute ${which.attr} of group ${which.group}`,
          ctx.answer('KVM_SET_DEVICE_ATTR', set),
          'ENXIO',
        );
      }
    },
  },
  {
    id: 'vfio.attributes.get',
    claim: 'No attribute can be read',
    source: 'virt/kvm/kvm_main.c: kvm_device_ioctl_attr',
    run(ctx) {
      const device = deviceOf(ctx, newVm(ctx));
      const get = () => void device.getAttr(ADD, 4);
      ctx.equal('get ADD', ctx.answer('KVM_GET_DEVICE_ATTR', get), 'EPERM');
    },
  },
  {
    id: 'vfio.attributes.forwarding-off',
    claim: 'KVM_DEV_VFIO_DEVICE is ENXIO, unless the extension was on when the device was created',
    source: `${KERNEL}: kvm_vfio_set_attr; ${EXTENSION}`,
    run(ctx) {
      const device = deviceOf(ctx, newVm(ctx));
      using _ = `kvm.dsm_vfio` in ctx.facts.parameters ? enableIrqForwarding() : null;
      ctx.equal('has the attributes', [device.hasAttr(FORWARD), device.hasAttr(UNFORWARD)], [false, false]);
      for (const which of [FORWARD, UNFORWARD]) {
        const set = () => device.setAttr(which, new Uint8Array(16), event(ctx));
        ctx.equal(`attribute ${which.attr}`, ctx.answer('KVM_SET_DEVICE_ATTR', set), 'ENXIO');
      }
    },
  },
  {
    id: 'vfio.file.other',
    claim: 'A file that is none of VFIO is EINVAL to add and ENOENT to remove',
    source: `${KERNEL}: kvm_vfio_file_add, kvm_vfio_file_del`,
    run(ctx) {
      const device = deviceOf(ctx, newVm(ctx));
      const set = (which: typeof ADD | typeof DEL) => () => device.setAttr(which, new Uint8Array(4), event(ctx));
      ctx.equal('add', ctx.answer('KVM_SET_DEVICE_ATTR', set(ADD)), 'EINVAL');
      ctx.equal('remove', ctx.answer('KVM_SET_DEVICE_ATTR', set(DEL)), 'ENOENT');
    },
  },
  ...table(['group', 'device'] as const, (which) => ({
    id: `vfio.file.${which}`,
    claim: `A VFIO ${which}'s file is added once (else EEXIST), and removed once (else ENOENT)`,
    source: `${DEVICE}: KVM_DEV_VFIO_FILE; ${KERNEL}: kvm_vfio_file_add, kvm_vfio_file_del`,
    needs: [vfioFunction],
    run(ctx: CheckContext) {
      const file = opened(ctx)[which];
      const device = deviceOf(ctx, newVm(ctx));
      const add = () => device.addFile(file);
      const remove = () => device.removeFile(file);
      const answers = [remove, add, add, remove, remove, add].map((call) => ctx.answer('KVM_SET_DEVICE_ATTR', call));
      ctx.equal('remove, add, add, remove, remove, add', answers, ['ENOENT', '0', 'EEXIST', '0', 'ENOENT', '0']);
    },
  })),
  {
    id: 'vfio.file.held',
    claim: 'KVM holds an added group open until it is removed, or the VFIO device is closed',
    source: `${DEVICE}: a reference to the VFIO file is held by KVM`,
    needs: [vfioFunction],
    run(ctx) {
      const binding = bound(ctx);
      const reopen = () => binding.open()[Symbol.dispose]();
      for (const end of ['removed', 'closed']) {
        const device = deviceOf(ctx, newVm(ctx));
        const open = binding.open();
        device.addFile(open.group);
        if (end === 'removed') {
          device.removeFile(open.group);
          open[Symbol.dispose]();
        } else {
          open[Symbol.dispose]();
          ctx.equal('opening the group while KVM has it', ctx.answer('open', reopen), 'EBUSY');
          device.close();
        }
        ctx.equal(`opening the group again, once it is ${end}`, ctx.answer('open', reopen), '0');
      }
    },
  },
];

const state: Check[] = [
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

const busy: Check[] = [
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
      ctx.equal('forward behind that', answer(ctx, 'KVM_SET_DEVICE_ATTR', forward), '0');
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
      ctx.equal('VFIO_DEVICE_SET_IRQS behind forwarding', ctx.answer('VFIO_DEVICE_SET_IRQS', set), '0');
      takeLeftover(adapter, signal);
      adapter.triggerIrqs(INTX);
      ctx.equal('what is signalled', signal.read(), 1n);
      const unforward = () => device.unforwardIrq(adapter, irq);
      ctx.equal('unforward while it is signalled', answer(ctx, 'KVM_SET_DEVICE_ATTR', unforward), 'EBUSY');
      const forward = () => device.forwardIrq(adapter, irq);
      ctx.equal('forward once more', answer(ctx, 'KVM_SET_DEVICE_ATTR', forward), 'EBUSY');
      adapter.disableIrqs(INTX);
      ctx.equal('unforward behind that', answer(ctx, 'KVM_SET_DEVICE_ATTR', unforward), '0');
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

const [READY_PORT, TAKEN_PORT] = [OTHER_PORT, DONE_PORT];
const iretd: Instruction = Uint8Array.of(0xcf);

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

const completion: Check[] = [
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

export const vfio = subject('vfio', "KVM's VFIO device, and IRQ forwarding as the extension does it", [
  ...files,
  ...state,
  ...busy,
  ...completion,
]);
