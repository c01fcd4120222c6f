/** Calls of Kvm and Vm. */
import {
  _IOWR,
  apicvParameter,
  apicvState,
  capabilities,
  defaultGsiRouting,
  type GsiRoute,
  inhibitApicv,
  ioctls,
  type MemorySlot,
  measureApicv,
  type Vm,
} from 'kvm-dsm';
import { stateOf } from './mutate.ts';
import type { Call, World } from './world.ts';

export type Maker = (world: World) => Call | undefined;

const capNames = Object.keys(capabilities) as (keyof typeof capabilities)[];

/** On a host: those that change nothing that a guest could notice. */
const harmlessCaps = [
  'KVM_CAP_X86_USER_SPACE_MSR',
  'KVM_CAP_X2APIC_API',
  'KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2',
  'KVM_CAP_SPLIT_IRQCHIP',
] as const;

/** Requests that only read. */
const readers = [
  'KVM_GET_API_VERSION',
  'KVM_GET_VCPU_MMAP_SIZE',
  'KVM_GET_CLOCK',
  'KVM_GET_REGS',
  'KVM_GET_SREGS',
  'KVM_GET_MP_STATE',
  'KVM_GET_VCPU_EVENTS',
  'KVM_GET_DEBUGREGS',
  'KVM_GET_LAPIC',
] as const;

export function enableCap(world: World): [unknown, unknown] {
  const { random } = world;
  const name = world.full ? random.pick<keyof typeof capabilities>(capNames) : random.pick(harmlessCaps);
  const args = () => Array.from({ length: random.int(0, 4) }, () => world.or(() => BigInt(random.int(0, 7))));
  // On a host an odd name has to be none.
  const cap = world.full ? world.or(() => name) : world.orRefused(() => name);
  return [cap, world.or(args)];
}

export function ioctlRaw(world: World): [unknown, unknown] {
  const { random } = world;
  const named = world.full ? random.pick(Object.values(ioctls)) : ioctls[random.pick(readers)];
  const size = (request: number) => (request >>> 16) & 0x3fff;
  if (!world.full) {
    const kind = random.int(0, 3);
    // A size that is never right, for a request whose size is fixed.
    if (kind === 0)
      return [named, size(named) === 0 ? new Uint8Array(4) : new Uint8Array(size(named) + random.int(1, 64))];
    if (kind === 1)
      return [
        random.pick([random.u32() & 0xffff_00ff, -1, 0.5, 2 ** 32, Number.NaN, '5', {}, null]),
        new Uint8Array(8),
      ];
    if (kind === 2) return [ioctls.KVM_SET_USER_MEMORY_REGION, new Uint8Array(32)];
    return [named, size(named) === 0 ? world.or(() => 0) : new Uint8Array(size(named))];
  }
  const request = random.chance(0.7)
    ? named
    : random.chance(0.5)
      ? _IOWR(random.int(0, 255), random.int(0, 512))
      : random.u32();
  const exact = size(request);
  const room = random.chance(0.8) ? exact : random.int(0, exact + 64);
  const payload = () =>
    exact === 0 && random.chance(0.8) ? random.pick([undefined, 0, 1, random.u32()]) : random.bytes(room);
  return [world.or(() => request), world.or(payload)];
}

export const kvmCalls: Maker[] = [
  (world) => method(world.need('kvm'), 'checkExtension', [world.or(() => world.random.pick(capNames))]),
  (world) => method(world.need('kvm'), 'checkExtension', [world.or(() => world.random.int(0, 300))]),
  (world) =>
    method(world.need('kvm'), 'createVm', [world.or(() => world.random.pick([undefined, 0, 1]))], (vm) =>
      world.add('bareVm', vm as Vm),
    ),
  ...(
    [
      'supportedCpuid',
      'supportedHvCpuid',
      'emulatedCpuid',
      'msrIndexList',
      'msrFeatureIndexList',
      'get apiVersion',
      'get closed',
    ] as const
  ).map(
    (name): Maker =>
      (world) =>
        method(world.need('kvm'), name, []),
  ),
  (world) => method(world.need('kvm'), 'hasDeviceAttr', [attr(world)]),
  (world) => method(world.need('kvm'), 'getDeviceAttr', [attr(world), world.or(() => 8)]),
  (world) => method(world.need('kvm'), 'ioctlRaw', ioctlRaw(world)),
  (world) => (world.random.chance(0.1) ? method(world.need('kvm'), 'close', []) : undefined),
];

export function attr(world: World): unknown {
  return world.or(() => ({
    group: world.or(() => world.random.int(0, 2)),
    attr: world.or(() => world.random.int(0, 2)),
  }));
}

export function method(target: object, name: string, args: readonly unknown[], keep?: (result: unknown) => void): Call {
  return { target, method: name, args, ...(keep ? { keep } : {}) };
}

/** A VM for what would change a guest: on a host one that never runs. */
function vm(world: World): Vm {
  return world.full && world.random.chance(0.3) ? world.need('guestVm') : world.need('bareVm');
}

const anyVm = (world: World): Vm => (world.random.chance(0.3) ? world.need('guestVm') : world.need('bareVm'));

function slot(world: World): unknown {
  const { random } = world;
  const page = () => 4096 * random.int(0, 32);
  const full: Record<string, unknown> = {
    slot: world.or(() => random.int(0, 3)),
    guestPhysAddr: world.or(() => random.pick<number | bigint>([page(), BigInt(page()), 0xfee0_0000, 1n << 40n])),
    memory: world.or(() => world.need('memory')),
  };
  if (random.chance(0.3)) full.offset = world.or(page);
  if (random.chance(0.3)) full.size = world.or(page);
  if (random.chance(0.3)) full.readonly = world.or(() => true);
  if (random.chance(0.3)) full.logDirtyPages = world.or(() => true);
  return full as unknown as MemorySlot;
}

function route(world: World): unknown {
  const { random } = world;
  const gsi = world.or(() => random.int(0, 40));
  const made = random.pick<() => Record<string, unknown>>([
    () => ({
      type: 'irqchip',
      gsi,
      irqchip: world.or(() => random.pick(['picMaster', 'picSlave', 'ioapic'])),
      pin: world.or(() => random.int(0, 23)),
    }),
    () => ({ type: 'msi', gsi, ...(message(world) as object) }),
    () => ({ type: 'hvSint', gsi, vcpu: world.or(() => 0), sint: world.or(() => random.int(0, 15)) }),
  ]);
  return world.or(made) as unknown as GsiRoute;
}

function message(world: World): unknown {
  const { random } = world;
  return {
    addressLo: world.or(() => random.pick([0xfee0_0000, 0xfeef_f00c, random.u32()])),
    ...(random.chance(0.5) ? { addressHi: world.or(() => random.u32()) } : {}),
    data: world.or(() => random.pick([0x30, 0x4041, random.u32()])),
  };
}

const replicaId = (world: World) => world.or(() => world.random.int(0, 3));

function ipiReplay(world: World): unknown {
  const { random } = world;
  return {
    vcpuId: replicaId(world),
    val: world.or(() => random.pick([0x300, 0x310])),
    val2: world.or(() => random.pick([0x4041, 0x0100_0000, random.u32()])),
    ...(random.chance(0.5) ? { destId: world.or(() => random.u32()) } : {}),
  };
}

function place(world: World): unknown {
  const { random } = world;
  return world.or(() => ({
    address: world.or(() => random.pick<number | bigint>([0x10, 0xd000_0000, 1n << 33n])),
    ...(random.chance(0.5) ? { pio: world.or(() => true) } : {}),
    length: world.or(() => random.pick([0, 1, 2, 4, 8])),
    ...(random.chance(0.5) ? { datamatch: world.or(() => random.pick<number | bigint>([1, 2n])) } : {}),
  }));
}

function zone(world: World): unknown {
  const { random } = world;
  return world.or(() => ({
    address: world.or(() => random.pick<number | bigint>([0x10, 0xd000_0000])),
    size: world.or(() => random.pick([1, 8, 4096])),
    ...(random.chance(0.5) ? { pio: world.or(() => true) } : {}),
  }));
}

function filter(world: World): unknown {
  const { random } = world;
  const range = () => {
    const base = random.int(0, 0x2000);
    return {
      base: world.or(() => base),
      count: world.or(() => random.int(1, 64)),
      ...(random.chance(0.3) ? { read: world.or(() => random.chance(0.5)) } : {}),
      ...(random.chance(0.3) ? { write: world.or(() => random.chance(0.5)) } : {}),
      ...(random.chance(0.3) ? { allow: world.or(() => [base, base + random.int(0, 70)]) } : {}),
    };
  };
  const ranges = () => Array.from({ length: random.int(0, 17) }, () => world.or(range));
  return world.or(() => ({
    ...(random.chance(0.5) ? { defaultAllow: world.or(() => false) } : {}),
    ranges: world.or(ranges),
  }));
}

const chips = ['picMaster', 'picSlave', 'ioapic'] as const;
const gsi = (world: World) => world.or(() => world.random.int(0, 30));

export const vmCalls: Maker[] = [
  (world) => method(anyVm(world), 'checkExtension', [world.or(() => world.random.pick(capNames))]),
  (world) => method(vm(world), 'enableCap', enableCap(world)),
  (world) => method(vm(world), 'enableUserSpaceMsr', [world.or(() => world.random.int(0, 7))]),
  (world) => method(vm(world), 'enableX2apicApi', [world.or(() => world.random.int(0, 3))]),
  (world) => method(vm(world), 'enableSplitIrqchip', [world.or(() => world.random.pick([undefined, 24]))]),
  (world) => method(vm(world), 'createIrqchip', []),
  (world) => method(vm(world), 'setMemory', [world.or(() => slot(world))]),
  (world) => method(vm(world), 'setMemory', [slot(world)]),
  (world) => method(vm(world), 'removeMemory', [world.or(() => world.random.int(0, 3))]),
  (world) => method(anyVm(world), 'getDirtyLog', [world.or(() => world.random.int(0, 3))]),
  (world) =>
    method(vm(world), 'clearDirtyLog', [
      world.or(() => world.random.int(0, 3)),
      world.or(() => [world.or(() => world.random.int(0, 15))]),
    ]),
  (world) => method(vm(world), 'setTssAddr', [world.or(() => 0xfffb_d000)]),
  (world) => method(vm(world), 'setIdentityMapAddr', [world.or(() => 0xfffb_c000)]),
  (world) => method(vm(world), 'setBootCpuId', [world.or(() => world.random.int(0, 3))]),
  (world) => {
    const target = vm(world);
    return method(target, 'createVcpu', [world.or(() => world.random.int(0, 5))], (vcpu) =>
      world.add('bareVcpu', vcpu as never),
    );
  },
  (world) => method(anyVm(world), 'getIrqchip', [world.or(() => world.random.pick(chips))]),
  (world) => {
    const target = vm(world);
    const chip = world.random.pick(chips);
    return method(target, 'setIrqchip', [
      world.or(() => chip),
      world.or(() => stateOf(world, () => target.getIrqchip(chip as 'ioapic'))),
    ]);
  },
  (world) => method(vm(world), 'createPit2', [world.or(() => world.random.pick([undefined, { speakerDummy: true }]))]),
  (world) => method(anyVm(world), 'getPit2', []),
  (world) => {
    const target = vm(world);
    return method(target, 'setPit2', [world.orNoObject(() => stateOf(world, () => target.getPit2()))]);
  },
  (world) => method(vm(world), 'setPitReinject', [world.or(() => world.random.chance(0.5))]),
  (world) => method(vm(world), 'irqLine', [gsi(world), world.or(() => world.random.chance(0.5))]),
  (world) => method(vm(world), 'irqLineStatus', [gsi(world), world.or(() => world.random.chance(0.5))]),
  (world) => method(vm(world), 'signalMsi', [world.or(() => message(world))]),
  (world) => method(anyVm(world), 'dsmIpi', [world.or(() => ipiReplay(world))]),
  (world) =>
    method(anyVm(world), 'dsmX2apic', [
      world.or(() => ({ vcpuId: replicaId(world), data: world.or(() => BigInt(world.random.int(0, 0xffff)) << 32n) })),
    ]),
  (world) =>
    method(anyVm(world), 'dsmApicBase', [
      world.or(() => ({
        vcpuId: replicaId(world),
        data: world.or(() => world.random.pick([0xfee0_0900n, 0xfee0_0d00n, 0xfed0_0800, 0xfee0_0000n, 1n])),
        host: world.or(() => world.random.chance(0.5)),
      })),
    ]),
  (world) => method(anyVm(world), 'enableVcpuVlpi', [world.or(() => replicaId(world))]),
  (world) =>
    method(anyVm(world), 'disableVcpuVlpi', [
      world.or(() => replicaId(world)),
      ...(world.random.chance(0.5) ? [world.or(() => ({ insist: world.or(() => true) }))] : []),
    ]),
  (world) => method(anyVm(world), 'queryVcpuVlpi', [world.or(() => replicaId(world))]),
  (world) =>
    method(vm(world), 'setGsiRouting', [
      world.or(() =>
        world.random.chance(0.3)
          ? defaultGsiRouting()
          : Array.from({ length: world.random.int(0, 4) }, () => route(world)),
      ),
    ]),
  (world) =>
    method(vm(world), 'assignIrqfd', [
      world.or(() => world.need('event')),
      gsi(world),
      ...(world.random.chance(0.3) ? [world.or(() => ({ resample: world.or(() => world.need('event')) }))] : []),
    ]),
  (world) => method(vm(world), 'deassignIrqfd', [world.or(() => world.need('event')), gsi(world)]),
  (world) => method(vm(world), 'assignIoeventfd', [world.or(() => world.need('event')), place(world)]),
  (world) => method(vm(world), 'deassignIoeventfd', [world.or(() => world.need('event')), place(world)]),
  (world) => method(vm(world), 'registerCoalesced', [zone(world)]),
  (world) => method(vm(world), 'unregisterCoalesced', [zone(world)]),
  (world) => method(anyVm(world), 'drainCoalesced', []),
  (world) => method(vm(world), 'setMsrFilter', [filter(world)]),
  (world) => method(anyVm(world), 'getClock', []),
  (world) =>
    method(vm(world), 'setClock', [
      world.or(() => ({
        clock: world.or(() => world.random.u64() >> 8n),
        ...(world.random.chance(0.2) ? { flags: world.or(() => 4) } : {}),
      })),
    ]),
  (world) =>
    method(vm(world), 'createDevice', [world.or(() => world.random.pick([4, 'vfio', 1, 99]))], (device) =>
      world.add('device', device as never),
    ),
  (world) => method(anyVm(world), 'hasDeviceType', [world.or(() => world.random.int(0, 10))]),
  (world) => method(anyVm(world), 'hasDeviceAttr', [attr(world)]),
  (world) => method(anyVm(world), 'stats', []),
  (world) => method(anyVm(world), 'ioctlRaw', ioctlRaw(world)),
  ...(
    [
      'get vcpus',
      'get slots',
      'get setup',
      'get hasMemory',
      'get irqchip',
      'get pitFlags',
      'get gsiRouting',
      'get enabledCaps',
      'get closed',
    ] as const
  ).map(
    (name): Maker =>
      (world) =>
        method(anyVm(world), name, []),
  ),
  (world) => (world.random.chance(0.2) ? method(anyVm(world), 'close', []) : undefined),
  (world) => method(inhibitApicv, 'inhibitApicv', [world.or(() => vm(world)), world.or(() => world.random.int(0, 5))]),
  (world) =>
    method(apicvState, 'apicvState', [
      world.or(() => anyVm(world)),
      ...(world.random.chance(0.6) ? [world.or(() => apicv(world))] : []),
    ]),
  () => method(apicvParameter, 'apicvParameter', []),
  // It makes and runs a VM of its own, of known code.
  (world) =>
    world.random.chance(0.3)
      ? method(measureApicv, 'measureApicv', [
          world.or(() => world.need('kvm')),
          ...(world.random.chance(0.5) ? [world.or(() => ({ inhibit: world.or(() => true) }))] : []),
        ])
      : undefined,
];

/** What the host's module may say. */
function apicv(world: World): unknown {
  const { random } = world;
  return random.pick([
    null,
    apicvParameter(),
    {
      parameter: world.or(() => random.pick(['kvm_intel/parameters/enable_apicv', 'kvm_amd/parameters/avic'])),
      enabled: world.or(() => random.chance(0.7)),
    },
  ]);
}
