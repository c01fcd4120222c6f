// m.explore(): programs under many schedules, on a real KVM.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  asm,
  done,
  type ExploreOptions,
  eoi,
  InvariantError,
  icr,
  icr2,
  idle,
  ipi,
  type Machine,
  machine,
  step,
} from '../../lib/index.ts';
import { scaled } from '../support/counts.ts';
import { noKvm } from '../support/host.ts';

const options = { skip: noKvm };
const deadline = '300s';

const word = (m: Machine, at = 0) => m.memory.view.getUint32(m.shared + at, true);
const quiet = (text: string) => ({
  code: asm.flat32`${text}
        ${done()}`,
  interrupts: false,
});
const increments = (m: Machine) => quiet(`mov eax, [${m.shared}]\ninc eax\nmov [${m.shared}], eax`);

async function broken(exploring: Promise<unknown>): Promise<InvariantError> {
  try {
    await exploring;
  } catch (error) {
    if (error instanceof InvariantError) return error;
    throw error;
  }
  return assert.fail('the invariant held');
}

test('every schedule of 2 x 4 steps, each from the same beginning', options, async () => {
  await using m = await machine({ vcpus: 2, apic: 'xapic' });
  const program = quiet(`inc dword [${m.shared}]\ninc eax\ninc eax\ninc eax`);
  const seen = new Set<string>();
  const result = await m.explore(
    [program, program],
    (_, { schedule, done: ended }) => {
      seen.add(schedule);
      assert.equal(word(m), 2);
      assert.deepEqual(ended, [0, 1]);
      return m.vcpus.every(({ vcpu }) => vcpu.getRegs().rax === 3n);
    },
    { deadline },
  );
  assert.equal(result.schedules, 70);
  assert.equal(result.steps, 70 * 8);
  assert.equal(result.complete, true);
  assert.equal(seen.size, 70);
});

test('a lost update is found, made simpler, told, and comes again by its schedule', options, async () => {
  await using m = await machine({ vcpus: 2, apic: 'xapic' });
  const programs = [increments(m), increments(m)];
  const counted = () => word(m) === 2 || `two increments made ${word(m)}`;
  const error = await broken(m.explore(programs, counted, { deadline }));
  assert.match(error.message, /^two increments made 1: under a schedule of 6 steps/);
  assert.equal(error.code, 'ERR_INVARIANT');
  assert.match(error.schedule, /^(0+1+0+|1+0+1+)$/);
  const rows = error.report.split('\n').filter((line) => line.startsWith('#'));
  assert.equal(rows.length, 6);
  assert.ok(
    error.report.split('\n').every((line) => line.length <= 72),
    error.report,
  );
  assert.equal(word(m), 0, 'the machine is as it was');
  const again = await broken(m.explore(programs, counted, { schedule: error.schedule, deadline }));
  assert.equal(again.report, error.report);
  // One after the other, all is well.
  await m.explore(programs, counted, { schedule: '000111', deadline });
  await assert.rejects(m.explore(programs, counted, { schedule: '0000', deadline }), { code: 'ERR_SCHEDULE', step: 4 });
  await assert.rejects(m.explore(programs, counted, { schedule: '0*', deadline }), { code: 'ERR_ARGUMENT' });
});

test('the one schedule of 70 that breaks an invariant is found, and told by its text', options, async () => {
  await using m = await machine({ vcpus: 2, apic: 'xapic' });
  const program = quiet('inc eax\ninc eax\ninc eax\ninc eax');
  const rare: string[] = [];
  const all = await m.explore(
    [program, program],
    (_, { schedule }) => void (schedule === '01100110' && rare.push(schedule)),
    { deadline },
  );
  assert.equal(all.schedules, 70);
  assert.deepEqual(rare, ['01100110']);
  const error = await broken(m.explore([program, program], (_, { schedule }) => schedule !== '01100110', { deadline }));
  assert.equal(error.schedule, '01100110', 'no simpler one breaks it');
});

test('distinct: one of those that only change the order of independent steps', options, async () => {
  await using m = await machine({ vcpus: 2, apic: 'xapic' });
  const apart = (at: number) => quiet(`inc dword [${m.shared + at}]\ninc eax\ninc eax`);
  const distinct: ExploreOptions = { schedules: 'distinct', deadline };
  const one = await m.explore([apart(0), apart(4)], () => word(m) === 1 && word(m, 4) === 1, distinct);
  assert.equal(one.schedules, 1);
  // The two loads and the two stores: 6 orders, of which those of the loads alone are the same.
  const values = new Set<number>();
  const some = await m.explore([increments(m), increments(m)], () => void values.add(word(m)), distinct);
  const every = await m.explore([increments(m), increments(m)], () => void values.add(word(m)), { deadline });
  assert.equal(every.schedules, 20);
  assert.ok(some.schedules < 8, `${some.schedules}`);
  const error = await broken(m.explore([increments(m), increments(m)], () => word(m) === 2, distinct));
  assert.equal(error.code, 'ERR_INVARIANT');
});

test('interrupts: a handler of the machine is a step, one of the program as many as it has', options, async () => {
  await using m = await machine({ vcpus: 2, apic: 'xapic' });
  const sender = {
    code: asm.flat32`${ipi({ to: 1, vector: 0x40 })}
        inc eax
        inc eax
        ${done()}`,
    interrupts: false,
  };
  const taken = new Set<string>();
  const result = await m.explore(
    [
      sender,
      asm.flat32`inc eax
        ${done()}`,
    ],
    (_, { schedule }) => {
      taken.add(schedule);
      return m.vcpu(1).interrupts.get(0x40) === 1 || `vector 0x40 came ${m.vcpu(1).interrupts.get(0x40) ?? 0} times`;
    },
    { deadline },
  );
  assert.equal(result.complete, true);
  assert.equal(taken.size, result.schedules);
  // A KVM that emulates its guests knows IRET in 64-bit mode alone.
  const own = {
    code: asm.long64`
        inc eax
        ${done()}
    handler:
        inc ebx
        ${eoi()}
        iretq`,
    handlers: { 64: 'handler' },
  };
  const longer = await m.explore([sender, own], () => m.vcpu(1).vcpu.getRegs().rbx === 1n, { deadline });
  assert.ok(longer.schedules > result.schedules, `${longer.schedules}, ${result.schedules}`);
});

test(
  'a vCPU that sleeps goes on when something wakes it, and a schedule that leaves it asleep has an end',
  options,
  async () => {
    await using m = await machine({ vcpus: 2, apic: 'xapic' });
    const sleeper = (before: string) => ({
      code: asm.flat32`
        ${before}
        cmp dword [${m.shared}], 1
        je .there
        sti
        hlt
    .there:
        ${done()}`,
      interrupts: false,
    });
    const waker = {
      code: asm.flat32`mov dword [${m.shared}], 1
        ${ipi({ to: 1, vector: 0x40 })}
        ${done()}`,
      interrupts: false,
    };
    const wakes = (_: Machine, { done: ended }: { done: readonly number[] }) =>
      ended.includes(1) || 'vCPU 1 sleeps, and nothing will wake it';
    // With interrupts enabled between the check and hlt the wake-up is lost.
    const error = await broken(m.explore([waker, sleeper('sti')], wakes, { deadline }));
    assert.match(error.message, /^vCPU 1 sleeps/);
    const result = await m.explore([waker, sleeper('cli')], wakes, { deadline });
    assert.ok(result.complete && result.schedules > 10);
  },
);

test(`the same seed gives the same, ${scaled(100, 3)} times, and another one another`, options, async () => {
  await using m = await machine({ vcpus: 3, apic: 'xapic' });
  const programs = [0, 1, 2].map(
    (to) => asm.flat32`${ipi({ to: (to + 1) % 3, vector: 0x40 + to })}
        ${done()}`,
  );
  const digests = new Set<string>();
  const random = (seed: number, schedules: ExploreOptions['schedules']) =>
    m.explore(programs, () => true, { schedules: schedules!, seed, deadline });
  for (let run = 0; run < scaled(100, 3); run++) digests.add((await random(7, { random: 5 })).digest);
  assert.equal(digests.size, 1);
  const { seed, schedules, complete } = await random(8, { random: 5 });
  assert.deepEqual({ seed, schedules, complete }, { seed: 8, schedules: 5, complete: false });
  digests.add((await random(8, { random: 5 })).digest);
  assert.equal(digests.size, 2);
  const first = await random(3, { pct: 5, depth: 2 });
  assert.deepEqual(await random(3, { pct: 5, depth: 2 }), { ...first });
});

test('marked steps, and every exit', options, async () => {
  await using m = await machine({ vcpus: 2, apic: 'xapic' });
  const marked = {
    code: asm.flat32`inc eax
        inc eax
        ${step()}
        inc eax
        ${done()}`,
    interrupts: false,
  };
  const six = await m.explore([marked, marked], () => m.vcpu(0).vcpu.getRegs().rax === 3n, {
    steps: 'marked',
    deadline,
  });
  assert.deepEqual([six.schedules, six.steps], [6, 24]);
  const bytes = { code: Uint8Array.of(0x40, 0xe6, 0xec, 0x40, 0xe7, 0xd8, 0xf4, 0xeb, 0xfd), interrupts: false };
  const raw = await m.explore([bytes, bytes], () => true, { steps: 'marked', deadline });
  assert.equal(raw.schedules, 6);
  const writes = {
    code: asm.flat32`out 0x10, al
        out 0x11, al
        ${done()}`,
    interrupts: false,
  };
  const exits = await m.explore([writes, writes], () => true, { steps: 'exit', deadline });
  assert.equal(exits.schedules, 20);
  await assert.rejects(
    m.explore([bytes, bytes], () => true),
    { code: 'ERR_ARGUMENT', message: /code of asm/ },
  );
});

test('a few preemptions: fewer schedules', options, async () => {
  await using m = await machine({ vcpus: 2, apic: 'xapic' });
  const program = quiet('inc eax\ninc eax\ninc eax\ninc eax');
  const run = (preemptions: number) =>
    m.explore([program, program], () => true, { schedules: { preemptions }, deadline });
  assert.equal((await run(0)).schedules, 2);
  assert.equal((await run(1)).schedules, 2 + 6);
});

test('what goes wrong in a guest is told with its schedule', options, async () => {
  await using m = await machine({ vcpus: 2, apic: 'xapic' });
  const fault = (text: string) => broken(m.explore([quiet('inc eax'), quiet(text)], () => true, { deadline }));
  assert.match((await fault('ud2')).message, /^vCPU 1 had #UD, which nothing handles/);
  const behind = { code: asm.flat32`inc eax`, interrupts: false };
  assert.match(
    (await broken(m.explore([behind], () => true, { deadline }))).message,
    /ran past the end of its program/,
  );
});

test('what an invariant may answer', options, async () => {
  await using m = await machine({ vcpus: 1, apic: 'xapic' });
  const run = (invariant: () => unknown) => m.explore([quiet('inc eax')], invariant, { deadline });
  await run(() => undefined);
  await run(() => true);
  assert.match((await broken(run(() => false))).message, /^the invariant is false/);
  assert.match((await broken(run(() => 'no'))).message, /^no: under/);
  const thrown = await broken(run(() => assert.equal(1, 2)));
  assert.ok(thrown.cause instanceof assert.AssertionError);
  for (const odd of [1, null, {}, Promise.resolve(true)])
    await assert.rejects(
      run(() => odd),
      { code: 'ERR_ARGUMENT' },
    );
  await assert.rejects(
    run(() => Reflect.get(undefined as never, 'x')),
    TypeError,
  );
});

test('what is refused', options, async () => {
  await using m = await machine({ vcpus: 2, apic: 'xapic' });
  const program = quiet('inc eax');
  const refused = (given: unknown, code = 'ERR_ARGUMENT') =>
    assert.rejects(
      m.explore([program, program], () => true, given as ExploreOptions),
      { code },
    );
  await refused({ step: 'marked' });
  await refused({ steps: 'marks' });
  await refused({ schedules: 'some' });
  await refused({ schedules: { randoms: 3 } });
  await refused({ schedules: { random: 3, depth: 1 } });
  await refused({ longest: 0 });
  await refused({ longest: 1 }, 'ERR_SCHEDULE_LENGTH');
  await refused({ deadline: 0.001 }, 'ERR_DEADLINE');
  await assert.rejects(
    m.explore([], () => true),
    { code: 'ERR_ARGUMENT' },
  );
  await assert.rejects(
    m.explore([program, program, program], () => true),
    { code: 'ERR_ARGUMENT' },
  );
  await assert.rejects(m.explore([program], 1 as never), { code: 'ERR_ARGUMENT' });
  const spins = { code: asm.flat32`again: jmp again`, interrupts: false };
  await assert.rejects(
    m.explore([spins], () => true, { deadline, longest: 50 }),
    { code: 'ERR_SCHEDULE_LENGTH' },
  );
  await using none = await machine({ vcpus: 1, irqchip: 'none' });
  await assert.rejects(
    none.explore([program], () => true),
    { code: 'ERR_ARGUMENT' },
  );
});

test('afterwards the machine runs as any other', options, async () => {
  await using m = await machine({ vcpus: 2, apic: 'xapic' });
  await m.explore([increments(m), increments(m)], () => true, { deadline });
  m.vcpu(0).program(asm.flat32`${icr2(1)}
        ${icr({ vector: 0x50 })}
        ${idle()}`);
  m.vcpu(1).program(asm.flat32`${idle()}`);
  await m.run({ deadline: '30s' });
  assert.equal(m.vcpu(1).interrupts.get(0x50), 1);
});
