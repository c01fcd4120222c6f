/**
 * A machine of several nodes: the same script on one and on several gives the same counters and the same order. Each node is a VM of its
 * own here; what KVM delivers by itself to the replicas of vCPUs that run elsewhere nobody handles.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  asm,
  done,
  enableApic,
  idle,
  increment,
  initSipiSipi,
  ipi,
  logicalCluster,
  logicalFlat,
  Machine,
  type MachineOptions,
  machine,
  nmi,
  Random,
  type Snippet,
  sync,
  waitUntil,
} from '../../lib/index.ts';
import { MemoryBus } from '../../lib/node/transports/memory.ts';
import { noForwardingKvm } from '../support/host.ts';

const two = [{ vcpus: [0, 1] }, { vcpus: [2, 3] }];
const three = [{ vcpus: [0] }, { vcpus: [1, 2] }, { vcpus: [3] }];

/** A bus that loses, doubles and delays. */
function badBus(seed: number): NonNullable<MachineOptions['transport']> {
  const random = new Random(seed);
  const bus = new MemoryBus({ loss: 0.2, duplicate: 0.2, delay: 0.3, random: () => random.integer(0, 999_999) / 1e6 });
  return () => bus.join();
}

const layouts: readonly [name: string, MachineOptions][] = [
  ['two nodes', { nodes: two }],
  ['three nodes', { nodes: three }],
  ['two nodes, on a bus that loses, doubles and delays', { nodes: two, transport: badBus(1) }],
];

/** What each vCPU has handled, by vector. */
const counters = (m: Machine) => m.vcpus.map(({ interrupts }) => Object.fromEntries(interrupts));

/** The writes of ICR of each vCPU, in their order. */
const writes = (m: Machine) =>
  m.vcpus.map(({ id }) =>
    m.trace
      .named('KVM_EXIT_DSM_SEND_IRQ')
      .filter(({ vcpu, exit }) => vcpu === id && exit.register === 'ICR')
      .map(({ exit }) => exit.val2),
  );

/** What each vCPU is like before anybody sends. */
async function prepare(m: Machine, setUp: (id: number) => Snippet): Promise<void> {
  for (const one of m.vcpus)
    one.program(asm.flat32`
    ${setUp(one.id)}
    ${sync('ready')}
    ${idle()}`);
  await m.run({ deadline: '60s' });
}

/** Some of the vCPUs send, the others are idle. */
async function send(m: Machine, from: Record<number, readonly Snippet[]>): Promise<void> {
  for (const one of m.vcpus)
    one.program(asm.flat32`
    ${from[one.id] ?? []}
    ${idle()}`);
  await m.run({ deadline: '100s' });
}

const others = { 0: [ipi({ to: 3, vector: 0x40 })] };

const several = { skip: noForwardingKvm, timeout: 200_000 };

/** Each with the counters that it has to come to, written by hand. */
const scripts: readonly {
  name: string;
  setUp: (id: number) => Snippet;
  from: Record<number, readonly Snippet[]>;
  counters: Record<number, number>[];
}[] = [
  {
    name: 'fixed to each, NMI, and shorthands',
    setUp: () => enableApic(),
    from: {
      0: [
        ...[1, 2, 3].map((to) => ipi({ to, vector: 0x40 + to })),
        nmi(2),
        ipi({ to: 'self', vector: 0x50 }),
        ipi({ to: 'all', vector: 0x51 }),
        ipi({ to: 'others', vector: 0x52 }),
        ipi({ to: 0xff, vector: 0x53 }),
      ],
      3: [ipi({ to: 0, vector: 0x60 }), ipi({ to: 'others', vector: 0x61 })],
    },
    counters: [
      { 80: 1, 81: 1, 83: 1, 96: 1, 97: 1 },
      { 65: 1, 81: 1, 82: 1, 83: 1, 97: 1 },
      { 2: 1, 66: 1, 81: 1, 82: 1, 83: 1, 97: 1 },
      { 67: 1, 81: 1, 82: 1, 83: 1 },
    ],
  },
  {
    name: 'logical ids of the flat model',
    setUp: (id) => logicalFlat(1 << id),
    from: {
      0: [
        ipi({ to: 0b1000, vector: 0x40, destinationMode: 'logical' }),
        ipi({ to: 0b1110, vector: 0x41, destinationMode: 'logical' }),
        ipi({ to: 0b0011, vector: 0x42, destinationMode: 'logical' }),
      ],
    },
    counters: [{ 66: 1 }, { 65: 1, 66: 1 }, { 65: 1 }, { 64: 1, 65: 1 }],
  },
  {
    name: 'logical ids of the cluster model',
    setUp: (id) => logicalCluster(id >> 1, 1 << (id & 1)),
    from: {
      0: [
        ipi({ to: 0x13, vector: 0x40, destinationMode: 'logical' }),
        ipi({ to: 0x12, vector: 0x41, destinationMode: 'logical' }),
        ipi({ to: 0x02, vector: 0x42, destinationMode: 'logical' }),
      ],
    },
    counters: [{}, { 66: 1 }, { 64: 1 }, { 64: 1, 65: 1 }],
  },
];

for (const { name, setUp, from, counters: wanted } of scripts)
  test(`${name}: as on one node`, several, async () => {
    let order: number[][] | undefined;
    for (const [layout, options] of [['one node', { vcpus: 4 }] as const, ...layouts]) {
      await using m = await machine({ apic: 'xapic', ...options });
      await prepare(m, setUp);
      await send(m, from);
      assert.deepEqual(counters(m), wanted, layout);
      order ??= writes(m);
      assert.deepEqual(writes(m), order, layout);
    }
  });

test('lowest priority is taken once, by whomever it is, once the nodes know each other', several, async () => {
  const vectors = [0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47];
  const lowest = { destinationMode: 'logical', deliveryMode: 'lowestPriority' } as const;
  const from = { 0: vectors.map((vector) => ipi({ to: 0b1111, vector, ...lowest })) };
  const taken: unknown[] = [];
  for (const options of [{ vcpus: 4 }, { nodes: two }, { nodes: three }]) {
    await using m = await machine({ apic: 'xapic', ...options });
    await prepare(m, (id) => logicalFlat(1 << id));
    await send(m, from);
    for (const vector of vectors) {
      const times = m.vcpus.reduce((sum, { interrupts }) => sum + (interrupts.get(vector) ?? 0), 0);
      assert.equal(times, 1, `vector ${vector} of ${JSON.stringify(options)}`);
    }
    taken.push(counters(m));
  }
  // KVM chooses by the vector (kvm.vector_hashing), and has the same candidates on each node.
  assert.deepEqual(taken[1], taken[0]);
  assert.deepEqual(taken[2], taken[0]);
});

test('INIT and SIPI start a vCPU of another node', several, async () => {
  await using m = await machine({ nodes: two, apic: 'xapic' });
  const started = m.vcpu(3).program(
    asm.flat32`
    ${enableApic()}
    ${increment(m.shared)}
    ${idle()}`,
    { start: 'sipi' },
  );
  m.vcpu(0).program(asm.flat32`
    ${initSipiSipi(3, started.sipiVector)}
    ${waitUntil(m.shared, 1)}
    ${ipi({ to: 3, vector: 0x48 })}
    ${done()}`);
  await m.run({ until: { halted: 3 }, deadline: '60s' });
  assert.deepEqual(Object.fromEntries(m.vcpu(3).interrupts), { 72: 1 });
  assert.ok(m.trace.events.every(({ node }) => node !== undefined));
});

test('without the ioctls of patch 3/3: by messages', several, async () => {
  const script = scripts[0]!;
  await using m = await new Machine({ nodes: two, apic: 'xapic' }).join({ replay: 'message' });
  await prepare(m, script.setUp);
  await send(m, script.from);
  assert.deepEqual(counters(m), script.counters);
});

test(
  'what only vCPUs of the node need goes nowhere, and a unicast interrupt is one message to one node',
  several,
  async () => {
    await using m = await machine({ nodes: three, apic: 'xapic' });
    await prepare(m, () => enableApic());
    const before = m.nodes.map(({ forwarded, replayed }) => ({ forwarded, replayed }));
    assert.deepEqual(before, Array(3).fill({ forwarded: 0, replayed: 0 }));
    await send(m, {
      1: [ipi({ to: 2, vector: 0x40 }), ipi({ to: 'self', vector: 0x41 }), ipi({ to: 3, vector: 0x42 })],
    });
    assert.deepEqual(
      m.nodes.map(({ sent, forwarded, replayed }) => ({ sent, forwarded, replayed })),
      [
        { sent: 0, forwarded: 0, replayed: 0 },
        { sent: 3, forwarded: 1, replayed: 0 },
        { sent: 0, forwarded: 0, replayed: 1 },
      ],
    );
  },
);

test('each interrupt to another node is told, from the write to the handlers that tell of it', several, async () => {
  await using m = await machine({ nodes: two, apic: 'xapic' });
  for (const id of [1, 2, 3])
    m.vcpu(id).program(asm.flat32`
    ${idle()}`);
  m.vcpu(0).program(asm.flat32`
    ${ipi({ to: 1, vector: 0x40 })}
    ${ipi({ to: 2, vector: 0x41 })}
    ${ipi({ to: 'others', vector: 0x42 })}
    ${idle()}`);
  await m.run({ tell: true, deadline: '60s' });
  const told = m.nodeIpis();
  assert.deepEqual(
    told.map(({ from, node, command, to }) => [from, node, command.vector, to.map((one) => [one.node, one.number])]),
    [
      [0, 0, 0x41, [[1, 1]]],
      [0, 0, 0x42, [[1, 2]]],
    ],
  );
  assert.deepEqual(
    told.map(({ to }) => to[0]!.vcpus.map(({ vcpu }) => vcpu)),
    [[2], [2, 3]],
  );
  const exits = m.trace.events.filter((event) => 'word' in event && event.word?.kind === 'handled');
  for (const { sent, handed, to } of told)
    for (const { vcpu, handled } of to[0]!.vcpus) {
      const { replayed } = to[0]!;
      assert.ok(sent! <= handed! && handed! <= replayed! && replayed! <= handled!, JSON.stringify(told));
      assert.ok(exits.some((exit) => exit.vcpu === vcpu && Math.round(exit.ns) === handled));
    }
  // Without being asked for, no handler tells.
  m.vcpu(0).program(asm.flat32`
    ${ipi({ to: 2, vector: 0x41 })}
    ${idle()}`);
  await m.run({ deadline: '60s' });
  const [last] = m.nodeIpis(told.length);
  assert.deepEqual(last!.to[0]!.vcpus, [{ vcpu: 2 }]);
  assert.ok(last!.to[0]!.replayed !== undefined);
});

test('both halves of a write are in the trace, each where it was made, and both count', several, async () => {
  await using m = await machine({ nodes: two, apic: 'xapic' });
  await prepare(m, () => enableApic());
  const wrote = () =>
    m.trace.named('KVM_EXIT_DSM_SEND_IRQ').map(({ node, vcpu, exit }) => [node, vcpu, exit.register, exit.val2 >>> 0]);
  const sends = [ipi({ to: 0, vector: 0x40 }), ipi({ to: 2, vector: 0x41 })];
  await send(m, { 3: sends });
  const halves = [
    [1, 3, 'ICR2', 0],
    [1, 3, 'ICR', 0x4040],
    [1, 3, 'ICR2', 0x0200_0000],
    [1, 3, 'ICR', 0x4041],
  ];
  assert.deepEqual(wrote(), halves);
  m.vcpu(3).program(asm.flat32`
    ${sends}
    ${idle()}`);
  await m.run({ until: { exit: 'KVM_EXIT_DSM_SEND_IRQ', count: 3 }, deadline: '60s' });
  assert.deepEqual(wrote(), [...halves, ...halves.slice(0, 3)]);
});

test('a script that is done has all that it has sent at each node when the run is over', several, async () => {
  await using m = await machine({ nodes: two, apic: 'xapic', transport: badBus(3) });
  m.vcpu(0).program(asm.flat32`
    ${Array.from({ length: 20 }, (_, index) => ipi({ to: 3, vector: 0x40 + index }))}
    ${done()}`);
  await m.run({ until: 'done', deadline: '60s' });
  assert.deepEqual(
    m.vcpu(3).vcpu.lapic().irr,
    Array.from({ length: 20 }, (_, index) => 0x40 + index),
  );
});

test('a node that nobody hears of ends the run, by name', several, async () => {
  let isCut = false;
  const bus = new MemoryBus();
  const limits = { deadline: 300, resend: 5 };
  await using m = await new Machine({ nodes: two, apic: 'xapic', transport: () => bus.join() }).join({ limits });
  await prepare(m, () => enableApic());
  bus.cut = isCut = true;
  await assert.rejects(send(m, others), (error: { code?: string; unacknowledged?: unknown[] }) => {
    assert.ok(isCut);
    assert.equal(error.code, 'ERR_NODE_LOST');
    return true;
  });
});

test('what is about one VM is refused, and each vCPU is one node’s', several, async () => {
  await using m = await machine({ nodes: two });
  assert.throws(() => m.irqLine(4, true), { code: 'ERR_ARGUMENT', argument: 'irqLine' });
  for (const nodes of [
    [{ vcpus: [0, 1] }, { vcpus: [1] }],
    [{ vcpus: [0] }, { vcpus: [2] }],
  ])
    await assert.rejects(machine({ nodes }), { code: 'ERR_ARGUMENT', argument: 'nodes' });
  await assert.rejects(machine({ transport: 'memory' }), { code: 'ERR_ARGUMENT', argument: 'transport' });
  await assert.rejects(machine({ nodes: two, transport: 'tcp://x' }), {
    code: 'ERR_ARGUMENT',
    argument: 'transport',
  });
});
