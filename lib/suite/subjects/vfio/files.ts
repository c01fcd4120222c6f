/** The files that KVM is told of. */
import { KVM_DEV_VFIO_FILE } from '../../../abi/vfio.ts';
import { enableIrqForwarding } from '../../../kvm/vfio/kvm-device.ts';
import { type Check, table } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { vfioFunction } from '../../kit/needs.ts';
import { bound, deviceOf, EXTENSION, event, FORWARD, newVm, opened, UNFORWARD } from './device.ts';

const DEVICE = 'Documentation/virt/kvm/devices/vfio.rst';
const KERNEL = 'virt/kvm/vfio.c';
const ADD = { group: KVM_DEV_VFIO_FILE, attr: 1 } as const;
const DEL = { group: KVM_DEV_VFIO_FILE, attr: 2 } as const;

export const fileChecks: Check[] = [
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
