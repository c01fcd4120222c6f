/** Calls of Vcpu: its state, and running it on this thread. */
import { enterFlat32, enterReal16, type Vcpu } from 'kvm-dsm';
import { attr, enableCap, ioctlRaw, type Maker, method } from './calls-vm.ts';
import { stateOf } from './mutate.ts';
import type { World } from './world.ts';

/** A vCPU for what would change a guest: on a host one that never runs. */
function vcpu(world: World): Vcpu | undefined {
  return world.full && world.random.chance(0.4) ? world.one('guestVcpu') : world.one('bareVcpu');
}

export const anyVcpu = (world: World): Vcpu | undefined =>
  world.random.chance(0.5) ? world.one('guestVcpu') : world.one('bareVcpu');

type Args = (world: World, vcpu: Vcpu) => readonly unknown[];

/** A call of a vCPU that would change a guest. */
const set =
  (name: string, args: Args): Maker =>
  (world) => {
    const target = vcpu(world);
    return target && method(target, name, args(world, target));
  };

/** A call that changes nothing. */
const get =
  (name: string, args: Args = () => []): Maker =>
  (world) => {
    const target = anyVcpu(world);
    return target && method(target, name, args(world, target));
  };

const readers = [
  'getRegs',
  'getSregs',
  'getSregs2',
  'getFpu',
  'getXsave',
  'getXcrs',
  'getDebugregs',
  'getCpuid2',
  'getTscKhz',
  'getLapic',
  'lapic',
  'getMpState',
  'getVcpuEvents',
  'stats',
  'syncRegs',
  'registerReport',
  'get xsaveSize',
  'get guestDebug',
  'get enabledCaps',
  'get kvmRun',
  'get closed',
  'get thread',
  'get vcpuId',
];

const state = (world: World, read: () => unknown) => [world.orNoObject(() => stateOf(world, read))];

const msrs = [0x10, 0x1b, 0x174, 0x175, 0x176, 0x277, 0xc000_0080, 0xc000_0081, 0x6e0, 0x4b56_4d00];
/** On a host: MSRs whose number no CPU has. */
const noMsrs = [0xdead_0000, 0xdead_0001];

function msrNumber(world: World): number {
  const { random } = world;
  return world.full ? random.pick([random.pick(msrs), random.u32(), random.int(0, 0x2000)]) : random.pick(noMsrs);
}

function breakpoint(world: World): unknown {
  const { random } = world;
  return world.or(() => ({
    address: world.or(() => random.pick<number | bigint>([0x1_0000, 0x2000n])),
    ...(random.chance(0.5) ? { on: world.or(() => random.pick(['execute', 'write', 'access'])) } : {}),
    ...(random.chance(0.5) ? { length: world.or(() => random.pick([1, 2, 4, 8])) } : {}),
  }));
}

const debugOptions = (world: World) => [
  world.or(() => ({
    ...(world.random.chance(0.5) ? { singleStep: world.or(() => true) } : {}),
    ...(world.random.chance(0.3) ? { software: world.or(() => true) } : {}),
    ...(world.random.chance(0.5)
      ? { hardware: world.or(() => Array.from({ length: world.random.int(0, 5) }, () => breakpoint(world))) }
      : {}),
  })),
];

const deadline = (world: World) => [world.deadline()];
const runOptions = (world: World) => [
  {
    deadline: world.deadline(),
    ...(world.wild && world.random.chance(0.1) ? { profile: world.or(() => undefined) } : {}),
  },
];

/** On a host a guest runs whose program is known; another vCPU only where it is refused before it runs. */
const run =
  (name: string, args: (world: World) => readonly unknown[]): Maker =>
  (world) => {
    const target =
      world.full || world.random.chance(0.9)
        ? world.one(world.full && world.random.chance(0.5) ? 'bareVcpu' : 'guestVcpu')
        : world.all('bareVcpu').find(({ closed }) => closed);
    return target && method(target, name, args(world));
  };

export const vcpuCalls: Maker[] = [
  ...readers.map((name) => get(name)),
  run('run', runOptions),
  run('run', runOptions),
  run('runRaw', deadline),
  run('runRaw', deadline),
  run('exit', () => []),
  run('settle', () => []),
  get('exit', (world) => [world.or(() => undefined)]),
  set('setRegs', (world, target) => state(world, () => target.getRegs())),
  set('setSregs', (world, target) => state(world, () => target.getSregs())),
  set('setSregs2', (world, target) => state(world, () => target.getSregs2())),
  set('setFpu', (world, target) => state(world, () => target.getFpu())),
  set('setXcrs', (world, target) => state(world, () => target.getXcrs())),
  set('setDebugregs', (world, target) => state(world, () => target.getDebugregs())),
  set('setVcpuEvents', (world, target) => state(world, () => target.getVcpuEvents())),
  set('setCpuid2', (world, target) => state(world, () => target.getCpuid2())),
  set('setSyncRegs', (world, target) =>
    world.full ? state(world, () => target.syncRegs()) : [world.orNoObject(() => ({}))],
  ),
  set('setXsave', (world, target) =>
    world.full
      ? [world.or(() => stateOf(world, () => target.getXsave()))]
      : [world.random.pick<unknown>([new Uint8Array(8), null, 'x', 5, {}])],
  ),
  set('setLapic', (world, target) => [world.orRefused(() => stateOf(world, () => target.getLapic()))]),
  set('setLapicRegisters', (world) => [
    world.orNoObject(() => ({
      [world.full ? world.random.pick(['TPR', 'SVR', 'ICR', 'LVT_TIMER', 'ID', 'TMICT']) : 'TPR']: world.orRefused(
        () => (world.full ? world.random.u32() : 0),
      ),
      ...(world.wild && world.random.chance(0.2) ? { NONE: 1 } : {}),
    })),
  ]),
  set('setMpState', (world) => [world.full ? world.or(() => world.random.int(0, 12)) : world.orRefused(() => 0)]),
  get('getMsr', (world) => [world.or(() => world.random.pick(msrs))]),
  get('getMsrs', (world) => [
    world.or(() => Array.from({ length: world.random.int(0, 4) }, () => world.or(() => world.random.pick(msrs)))),
  ]),
  set('setMsr', (world) => [world.orRefused(() => msrNumber(world)), world.orRefused(() => world.random.u64())]),
  set('setMsrs', (world) => [
    world.orNoObject(() =>
      Array.from({ length: world.random.int(0, 3) }, () =>
        world.orNoObject(() => ({
          index: world.orRefused(() => msrNumber(world)),
          data: world.orRefused(() => world.random.u64()),
        })),
      ),
    ),
  ]),
  set('setTscKhz', (world) => [
    world.full ? world.or(() => world.random.int(1, 4_000_000)) : world.orRefused(() => 1_000_000),
  ]),
  set('kvmclockCtrl', () => []),
  get('translate', (world) => [world.or(() => world.random.pick<number | bigint>([0, 0x1_0000, 1n << 48n]))]),
  set('debug', debugOptions),
  set('setGuestDebug', (world) => [
    world.orNoObject(() => ({ control: world.orRefused(() => world.random.pick([0, 1, 3])) })),
  ]),
  set('interrupt', (world) => [world.or(() => world.random.int(0, 255))]),
  set('nmi', () => []),
  set('smi', () => []),
  set('requestSyncRegs', (world) => [
    world.or(() => ({ regs: world.or(() => true), sregs: world.or(() => world.random.chance(0.5)) })),
  ]),
  get('completeRdmsr', (world) => [world.orRefused(() => 1n)]),
  get('completeRead', (world) => [world.orRefused(() => world.random.pick([0, 0xffn, Uint8Array.of(1)]))]),
  get('completeWrmsr'),
  get('failMsr'),
  set('enableCap', enableCap),
  get('hasDeviceAttr', (world) => [attr(world)]),
  get('getDeviceAttr', (world) => [attr(world), world.or(() => world.random.int(0, 16))]),
  set('setDeviceAttr', (world) => [
    attr(world),
    world.or(() => (world.full ? world.random.bytes(8) : new Uint8Array(8))),
  ]),
  get('ioctlRaw', ioctlRaw),
  (world) => {
    const target = vcpu(world);
    const entry = () => ({
      rip: world.orRefused(() => 0x1_0000),
      rsp: world.orRefused(() => 0x1000),
      interrupts: true,
    });
    const enter = world.random.chance(0.5) ? enterFlat32 : enterReal16;
    return target && method(enter, enter.name, [world.orNoObject(() => target), world.orNoObject(entry)]);
  },
  (world) => {
    const target = anyVcpu(world);
    return target && world.random.chance(0.2) ? method(target, 'close', []) : undefined;
  },
];
