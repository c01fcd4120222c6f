import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asm, done, type Machine, machine, sync, type TraceExit, tell, type Until } from '../../lib/index.ts';
import { scaled } from '../support/counts.ts';
import { noKvm } from '../support/host.ts';

const options = { skip: noKvm, timeout: 60_000 };
const PORT = 0x42;

/** Each vCPU writes 1, 2, 3, ... to a port of its own, and never ends. */
async function counting(vcpus: number): Promise<Machine> {
  const m = await machine({ vcpus });
  for (const vcpu of m.vcpus)
    vcpu.program(asm.flat32`
        xor eax, eax
      again: inc eax
        out ${PORT + vcpu.id}, eax
        jmp again`);
  return m;
}

function written({ exit }: TraceExit): number {
  assert.ok(exit.name === 'KVM_EXIT_IO');
  return new DataView(exit.data.buffer, exit.data.byteOffset).getUint32(0, true);
}

/** Each vCPU's exits are all there, in order, and each event stands where its number says. */
function checkWhole(m: Machine): void {
  const next = new Map<number, number>();
  for (const [index, event] of [...m.trace].entries()) {
    assert.equal(event.seq, index);
    const value = (next.get(event.vcpu) ?? 0) + 1;
    assert.equal(written(event), value, `vCPU ${event.vcpu}`);
    next.set(event.vcpu, value);
  }
}

for (const vcpus of [1, 2, 4])
  test(`${vcpus} vCPUs: of many exits only the one that ends the run is looked at`, options, async () => {
    await using m = await counting(vcpus);
    for (const count of [1, 2, 1000]) {
      const before = m.trace.length;
      await m.run({ until: { exits: count } });
      // Each other vCPU may have been about to make one, and another that met the end.
      const late = m.trace.length - before - count;
      assert.ok(late >= 0 && late <= 2 * (vcpus - 1), `${late} exits after the end`);
    }
    checkWhole(m);
    if (vcpus === 1) return;
    const recorded = m.vcpus.reduce((sum, { vcpu }) => sum + (vcpu.thread?.counters.recorded ?? 0), 0);
    const exits = m.vcpus.reduce((sum, { vcpu }) => sum + (vcpu.thread?.counters.exits ?? 0), 0);
    assert.ok(exits - recorded <= 2 * vcpus, `${recorded} of ${exits} exits went by without JavaScript`);
  });

const ends: [string, Until, number][] = [
  ['an access to a port', { port: PORT + 1 }, 1],
  ['exits of a kind', { exit: 'KVM_EXIT_IO', count: 7, vcpu: 1 }, 7],
  ['what a function says', (event) => event.vcpu === 1 && written(event) === 5, 5],
];
for (const [what, until, value] of ends)
  test(`a run that ${what} ends does so with exactly that exit of its vCPU`, options, async () => {
    await using m = await counting(2);
    await m.run({ until });
    const last = [...m.trace].filter(({ vcpu }) => vcpu === 1).at(-1)!;
    assert.equal(written(last), value);
    const after = m.trace.length - 1 - last.seq;
    assert.ok(after <= 2, `${after} exits after it`);
    checkWhole(m);
    // It goes on behind that exit.
    await m.run({ until: { port: PORT + 1 } });
    assert.equal(written([...m.trace].filter(({ vcpu }) => vcpu === 1).at(-1)!), value + 1);
    checkWhole(m);
  });

test('words are read of the log as of an exit that is looked at', options, async () => {
  const words = async (until: Until) => {
    await using m = await machine({ vcpus: 2 });
    for (const vcpu of m.vcpus)
      vcpu.program(asm.flat32`${sync('begin')}
        ${tell('count', 7)}
        ${sync('end')}
        ${done()}`);
    await m.run({ until });
    return m.trace.events.flatMap((event) => ('word' in event ? [[event.vcpu, event.word]] : []));
  };
  let left = 2;
  const logged = await words('done');
  const looked = await words(({ word }) => word?.kind === 'done' && --left === 0);
  const of = (all: unknown[][], id: number) => all.filter(([vcpu]) => vcpu === id);
  for (const id of [0, 1]) {
    assert.deepEqual(of(logged, id), of(looked, id));
    assert.deepEqual(
      of(logged, id).map(([, word]) => word),
      [
        { kind: 'sync', name: 'begin' },
        { kind: 'value', name: 'count', value: 7 },
        { kind: 'sync', name: 'end' },
        { kind: 'done' },
      ],
    );
  }
});

test('sync points are counted, whichever vCPU comes to them', options, async () => {
  for (const count of [1, 3, 10]) {
    await using m = await machine({ vcpus: 2 });
    for (const vcpu of m.vcpus)
      vcpu.program(asm.flat32`
      again: ${sync('here')}
        ${sync('there')}
        jmp again`);
    await m.run({ until: { sync: 'here', count } });
    const here = [...m.trace].filter(({ word }) => word?.kind === 'sync' && word.name === 'here');
    assert.ok(here.length >= count && here.length <= count + 1, `${here.length} of ${count}`);
  }
});

test('an assertion that fails ends the run where it stands, whatever the others write meanwhile', options, async () => {
  await using m = await machine({ vcpus: 2 });
  m.vcpu(0).program(asm.flat32`
      again: out ${PORT}, al
        jmp again`);
  m.vcpu(1).program(asm.flat32`
        mov eax, 1
        mov ecx, 2
        out 0xdc, eax
        hlt`);
  await assert.rejects(m.run({ until: { exits: 1e9 } }), { code: 'ERR_GUEST_ASSERTION' });
  const { seq } = [...m.trace].find(({ word }) => word?.kind === 'assert')!;
  const after = m.trace.length - 1 - seq;
  assert.ok(after <= 2, `${after} exits after it`);
});

test('acts stand among the exits that were logged, in order', options, async () => {
  await using m = await counting(2);
  const run = m.run({ until: { exits: 20_000 } });
  while (m.trace.length < 10) await new Promise((resolve) => setImmediate(resolve));
  await m.vcpu(0).kick();
  await run;
  const { events } = m.trace;
  assert.deepEqual(
    events.map(({ seq }) => seq),
    events.map((_, index) => index),
  );
  const at = events.findIndex((event) => 'act' in event);
  assert.ok(at > 0 && at < events.length - 1, `the kick is event ${at} of ${events.length}`);
  assert.equal(m.trace.length, events.length - 1);
});

const MANY = scaled(200_000, 20_000);

test('many acts: each stands in its place, and says the same whenever it is looked at', options, async () => {
  await using m = await machine();
  const count = 12_000;
  for (let i = 0; i < count; i++) m.signalMsi({ addressLo: 0xfee0_0000, data: 0x40 + (i % 16) });
  m.vcpu(0).nmi();
  assert.equal(m.trace.length, 0, 'an act is no exit');
  const { events } = m.trace;
  assert.equal(events.length, count + 1);
  for (const [index, event] of events.entries()) {
    assert.equal(event.seq, index);
    assert.ok('act' in event && event.act === 'injection');
    assert.equal(event.ioctl, index < count ? 'KVM_SIGNAL_MSI' : 'KVM_NMI');
    if (event.ioctl === 'KVM_SIGNAL_MSI') assert.equal(event.message.data, 0x40 + (index % 16));
    assert.deepEqual(m.trace.event(index), event);
  }
});

test('messages between runs stand between their exits', options, async () => {
  await using m = await counting(1);
  m.vcpu(0).vcpu.setLapicRegisters({ SVR: 0x1ff });
  const address = { addressLo: 0xfee0_0000, addressHi: 0 };
  await m.run({ until: { exits: 3 } });
  assert.equal(m.vm.signalMsi({ ...address, data: 0x41 }), true);
  assert.equal(m.signalMsi({ addressLo: 0xfee7_7000, data: 0x42 }), false);
  await m.run({ until: { exits: 2 } });
  m.signalMsi({ ...address, data: 0x43 });
  assert.equal(m.trace.length, 5);
  const { events } = m.trace;
  const said = events.map((event) =>
    'act' in event && event.ioctl === 'KVM_SIGNAL_MSI' ? [event.message.data, event.delivered] : 'exit',
  );
  assert.deepEqual(said, ['exit', 'exit', 'exit', [0x41, true], [0x42, false], 'exit', 'exit', [0x43, true]]);
  events.forEach(({ seq, ns }, at) => {
    assert.equal(seq, at);
    assert.ok(ns > (events[at - 1]?.ns ?? 0), `event ${at} came at ${ns}`);
  });
});

test('an event that nobody looks at takes less than 200 bytes', options, async () => {
  await using m = await counting(1);
  await m.run({ until: { exits: 1000 } });
  const before = process.memoryUsage().rss;
  await m.run({ until: { exits: MANY }, deadline: '50s' });
  const each = (process.memoryUsage().rss - before) / MANY;
  assert.equal(m.trace.length, MANY + 1000);
  if (MANY >= 200_000) assert.ok(each < 200, `${each.toFixed(0)} bytes`);
});
