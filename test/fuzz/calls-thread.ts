/** Calls of vCPUs on their own threads, machines, traces and saved state. */
import {
  defaultProfile,
  flat32,
  forwardsIcrWrites,
  hideX2apic,
  machine,
  type RecordBatch,
  restoreMachineState,
  saveMachineState,
  type Vcpu,
  type VcpuRun,
} from 'kvm-dsm';
import { type Maker, method } from './calls-vm.ts';
import { payload } from './payload.ts';
import { programs, type World } from './world.ts';

/** What a handler of the fuzzer throws on purpose. */
export class OwnError extends Error {}

function vcpu(world: World): Vcpu | undefined {
  return world.full && world.random.chance(0.3) ? world.one('bareVcpu') : world.one('guestVcpu');
}

function onExit(world: World): unknown {
  const { random } = world;
  const left = random.int(1, 50);
  let count = 0;
  const end = random.int(0, 3);
  return (_exit: unknown, run: VcpuRun) => {
    count += 1;
    if (count < left) return undefined;
    if (end === 0) throw new OwnError('on purpose');
    if (end === 1) return Promise.reject(new OwnError('on purpose, later'));
    if (end === 2) run.askToStop();
    else void run.pause();
    return undefined;
  };
}

function record(world: World): unknown {
  const { random } = world;
  return {
    exits: world.or(() => [
      world.or(() => random.pick<number | string>(['KVM_EXIT_IO', 2, 'KVM_EXIT_MMIO', 'KVM_EXIT_DSM_SEND_IRQ'])),
    ]),
    onRecords: world.or(() => (batch: RecordBatch) => void (batch.length > 0 && batch.exit(0))),
    ...(random.chance(0.5) ? { capacity: world.or(() => random.pick([2, 16, 1024])) } : {}),
    ...(random.chance(0.3) ? { unionBytes: world.or(() => random.int(16, 256)) } : {}),
    ...(random.chance(0.3) ? { ioBytes: world.or(() => random.int(0, 64)) } : {}),
  };
}

function startOptions(world: World): unknown {
  const { random } = world;
  return world.or(() => ({
    ...(random.chance(0.6) ? { onExit: world.or(() => onExit(world)) } : {}),
    ...(random.chance(0.3) ? { record: world.or(() => record(world)) } : {}),
    deadline: world.deadline(),
    ...(random.chance(0.1) ? { profile: world.or(() => defaultProfile) } : {}),
  }));
}

const control =
  (name: string): Maker =>
  (world) => {
    const run = world.one('run');
    return (
      run &&
      method(
        run,
        name,
        name === 'resume' || name === 'askToStop'
          ? []
          : [
              world.wild && world.random.chance(0.2)
                ? world.random.pick<unknown>([null, 'x', 5, [], false])
                : { deadline: world.deadline() },
            ],
      )
    );
  };

export const threadCalls: Maker[] = [
  ...[1, 2, 3].map(
    (): Maker => (world) => {
      const target = vcpu(world);
      return target && method(target, 'start', [startOptions(world)], (run) => world.add('run', run as VcpuRun));
    },
  ),
  ...['kick', 'kick', 'pause', 'resume', 'resume', 'stop', 'askToStop', 'ended'].map(control),
  ...['get state', 'get counters', 'get alive', 'get seq', 'get ns', 'get inGuest'].map(
    (name): Maker =>
      (world) => {
        const run = world.one('run');
        return run && method(run, name, []);
      },
  ),
  (world) => {
    const run = world.one('run');
    return (
      run && method(iterate, 'iterate', [run], (iterator) => world.add('iterator', iterator as AsyncIterator<unknown>))
    );
  },
  ...['next', 'next', 'return'].map(
    (name): Maker =>
      (world) => {
        const iterator = world.one('iterator');
        return iterator && method(iterator, name, []);
      },
  ),
];

function iterate(run: VcpuRun): AsyncIterator<unknown> {
  return run[Symbol.asyncIterator]();
}

function until(world: World): unknown {
  const { random } = world;
  return random.pick<() => unknown>([
    () => 'halted',
    () => ({ port: world.or(() => random.pick([0x10, 0x42])) }),
    () => ({ exits: world.or(() => random.int(1, 5)) }),
    () => ({ exit: world.or(() => 'KVM_EXIT_IO'), count: world.or(() => 2) }),
    () => () => random.chance(0.2),
  ])();
}

function programOptions(world: World): unknown {
  const { random } = world;
  return {
    interrupts: true,
    ...(random.chance(0.2) ? { start: world.or(() => random.pick(['now', 'sipi'])) } : {}),
    ...(random.chance(0.2) ? { idt: world.or(() => random.chance(0.5)) } : {}),
    // A label that no program has: on a host no handler may lie at a random address.
    ...(random.chance(0.2) ? { handlers: world.full ? world.or(() => ({ 13: 'nowhere' })) : { 13: 'nowhere' } } : {}),
  };
}

export const machineCalls: Maker[] = [
  (world) => {
    const { random } = world;
    const options = () => ({
      ...(random.chance(0.7) ? { vcpus: world.or(() => random.int(1, 3)) } : {}),
      ...(random.chance(0.3) ? { memory: world.or(() => 4096 * random.int(1, 100)) } : {}),
      ...(random.chance(0.5) ? { irqchip: world.or(() => random.pick(['full', 'split', 'none'])) } : {}),
      ...(random.chance(0.1)
        ? { device: world.or(() => random.pick(['/dev/null', '/nowhere', '/dev/kvm', '/'])) }
        : {}),
      ...(random.chance(0.3) ? { apic: world.or(() => random.pick(['reset', 'xapic', 'x2apic'])) } : {}),
      ...(random.chance(0.1) ? { cpuid: world.or(() => hideX2apic) } : {}),
      ...(random.chance(0.1) ? { profile: world.or(() => defaultProfile) } : {}),
    });
    return method(machine, 'machine', [world.or(options)], (made) => world.add('machine', made as never));
  },
  ...[1, 2].map(
    (): Maker => (world) => {
      const target = world.one('machine');
      const own = target?.vcpus[world.random.int(0, target.vcpus.length - 1)];
      const code = () =>
        world.full && world.random.chance(0.5) ? payload(world.random) : flat32(...world.random.pick(programs));
      // On a host an odd program has to be none: no buffer.
      const odd = world.full
        ? world.or(code)
        : world.wild && world.random.chance(0.2)
          ? world.random.pick<unknown>([
              null,
              undefined,
              5,
              'x',
              {},
              new Uint8Array(0),
              { bytes: 5 },
              new Uint8Array(70_000),
            ])
          : code();
      return (
        own &&
        method(own, 'program', [
          odd,
          ...(world.random.chance(0.3) ? [world.orNoObject(() => programOptions(world))] : []),
        ])
      );
    },
  ),
  ...[1, 2].map(
    (): Maker => (world) => {
      const target = world.one('machine');
      return (
        target &&
        method(target, 'run', [
          world.random.chance(0.9)
            ? { until: world.or(() => until(world)), deadline: world.deadline() }
            : { deadline: 1, until: null },
        ])
      );
    },
  ),
  (world) => {
    const target = world.one('machine');
    return target && method(target, 'vcpu', [world.or(() => world.random.int(0, 3))]);
  },
  (world) => {
    const target = world.one('machine');
    return target && method(target, world.random.pick(['get wroteIcr', 'get vcpus', 'get trace']), []);
  },
  (world) => {
    const target = world.one('machine');
    if (target) world.add('trace', target.trace);
    const name = () => world.random.pick(['KVM_EXIT_IO', 'KVM_EXIT_HLT', 'KVM_EXIT_DSM_SEND_IRQ']);
    const want = () => ({ name: world.or(name), port: world.or(() => 0x10) });
    return (
      target &&
      world.random.pick([
        method(target.trace, 'named', [world.or(name)]),
        method(target.trace, 'expectNone', [world.or(name)]),
        method(target.trace, 'expect', [world.or(() => [world.or(want)])]),
        method(target.trace, 'toString', []),
      ])
    );
  },
  (world) => {
    const target = world.one('machine');
    return target && world.random.chance(0.2) ? method(target, 'close', []) : undefined;
  },
  (world) =>
    method(
      saveMachineState,
      'saveMachineState',
      [world.or(() => world.need('kvm')), world.or(() => world.need('guestVm'))],
      (state) => world.add('state', state as Uint8Array),
    ),
  (world) => {
    const state = world.one('state');
    const damaged = () => {
      if (!state || !world.random.chance(0.5)) return state;
      const copy = state.slice(0, world.random.chance(0.3) ? world.random.int(0, state.length) : state.length);
      for (let i = 0; i < 4 && copy.length > 0; i++)
        copy[world.random.int(0, copy.length - 1)] = world.random.int(0, 255);
      return copy;
    };
    const vm = () => (world.random.chance(0.7) ? world.kvm().createVm() : world.need('bareVm'));
    let target: unknown;
    try {
      target = world.or(vm);
    } catch {
      target = world.need('bareVm');
    }
    if (typeof target === 'object' && target !== null && 'createVcpu' in target) world.add('bareVm', target as never);
    return method(restoreMachineState, 'restoreMachineState', [target, world.or(damaged)]);
  },
  (world) =>
    world.random.chance(0.1)
      ? method(forwardsIcrWrites, 'forwardsIcrWrites', [world.or(() => world.need('kvm'))])
      : undefined,
];
