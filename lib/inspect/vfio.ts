/** KVM's VFIO device: its numbers, and what the kernel says to each. */
import { KVM_DEV_TYPE_VFIO, kvmDeviceAttr } from '../abi/kvm/index.ts';
import { ioctls } from '../abi/kvm/ioctl.ts';
import {
  KVM_DEV_VFIO_DEVICE,
  KVM_DEV_VFIO_DEVICE_FORWARD_IRQ,
  KVM_DEV_VFIO_DEVICE_UNFORWARD_IRQ,
  KVM_DEV_VFIO_FILE,
  KVM_DEV_VFIO_FILE_ADD,
  KVM_DEV_VFIO_FILE_DEL,
  kvmArchForwardedIrq,
} from '../abi/vfio.ts';
import { irqForwarding, irqForwardingParameter } from '../kvm/vfio/kvm-device.ts';
import type { AskedKvm } from './asked-kvm.ts';
import { type AbiEntry, type AbiSection, LAYOUT, layoutOf } from './section.ts';

const UAPI = 'include/uapi/linux/kvm.h';
const FILES = `${UAPI}; Documentation/virt/kvm/devices/vfio.rst`;
const FORWARDING = 'PATCH v3 4/8 of 2014-11-23, kvm-vfio: User API for IRQ forwarding: not merged';

interface Group {
  name: string;
  number: number;
  source: string;
  attributes: readonly (readonly [name: string, number: number])[];
}

const groups: readonly Group[] = [
  {
    name: 'KVM_DEV_VFIO_FILE',
    number: KVM_DEV_VFIO_FILE,
    source: FILES,
    attributes: [
      ['KVM_DEV_VFIO_FILE_ADD', KVM_DEV_VFIO_FILE_ADD],
      ['KVM_DEV_VFIO_FILE_DEL', KVM_DEV_VFIO_FILE_DEL],
    ],
  },
  {
    name: 'KVM_DEV_VFIO_DEVICE',
    number: KVM_DEV_VFIO_DEVICE,
    source: FORWARDING,
    attributes: [
      ['KVM_DEV_VFIO_DEVICE_FORWARD_IRQ', KVM_DEV_VFIO_DEVICE_FORWARD_IRQ],
      ['KVM_DEV_VFIO_DEVICE_UNFORWARD_IRQ', KVM_DEV_VFIO_DEVICE_UNFORWARD_IRQ],
    ],
  },
];

/** The kvm-vfio device, and the interrupt forwarding that was to be part of it. */
export function vfioSection(): AbiSection {
  return {
    name: 'vfio',
    title: 'the kvm-vfio device',
    architecture: 'x64',
    entries: [
      {
        kind: 'device',
        name: 'KVM_DEV_TYPE_VFIO',
        number: KVM_DEV_TYPE_VFIO,
        source: UAPI,
        ask: (asked) =>
          asked.vm().hasDeviceType(KVM_DEV_TYPE_VFIO)
            ? 'known: KVM_CREATE_DEVICE_TEST answers 0'
            : 'KVM_CREATE_DEVICE_TEST refuses it',
      },
      {
        kind: 'ioctl',
        name: 'KVM_SET_DEVICE_ATTR',
        number: ioctls.KVM_SET_DEVICE_ATTR,
        source: UAPI,
        ...layoutOf(kvmDeviceAttr),
        ask: 'it would change the device; the attributes answer for it',
      },
      ...groups.flatMap(({ name, number, source, attributes }): AbiEntry[] => [
        {
          kind: 'group',
          name,
          number,
          source,
          ask: (asked) => {
            const has = attributes.some(([, attr]) => hasAttribute(asked, number, attr));
            return has ? 'known: it has attributes of it' : 'ENXIO to each of its attributes';
          },
        },
        ...attributes.map(
          ([attribute, attr]): AbiEntry => ({
            kind: 'attribute',
            name: attribute,
            number: attr,
            source,
            note: `of ${name}`,
            ask: (asked) => (hasAttribute(asked, number, attr) ? 'known: KVM_HAS_DEVICE_ATTR answers 0' : 'ENXIO'),
          }),
        ),
      ]),
      {
        kind: 'parameter',
        name: `kvm.${irqForwardingParameter}`,
        number: null,
        source: 'kernel/rfc-v2/arch/x86/kvm/dsm_vfio.c, CONFIG_KVM_DSM_VFIO',
        note: 'makes KVM_DEV_VFIO_DEVICE known to the VFIO devices that are created while it is Y',
        ask: () => {
          const on = irqForwarding();
          return on === null ? 'it has no such parameter' : on ? 'Y' : 'N';
        },
      },
      {
        kind: 'layout',
        name: 'struct kvm_arch_forwarded_irq',
        number: null,
        source: FORWARDING,
        note: 'payload of both attributes of KVM_DEV_VFIO_DEVICE',
        ...layoutOf(kvmArchForwardedIrq),
        ask: LAYOUT,
      },
    ],
  };
}

/** KVM_HAS_DEVICE_ATTR of a new device in a new VM, where there is such a device. */
function hasAttribute(asked: AskedKvm, group: number, attr: number): boolean {
  const vm = asked.vm();
  if (!vm.hasDeviceType(KVM_DEV_TYPE_VFIO)) return false;
  using device = vm.createDevice(KVM_DEV_TYPE_VFIO);
  return device.hasAttr({ group, attr });
}
