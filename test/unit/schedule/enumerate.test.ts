/** All schedules, each once; and one of each class if only the order of independent steps differs. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { everySchedule, isPreemption } from '../../../lib/schedule/enumerate.ts';
import { independent } from '../../../lib/schedule/footprint.ts';
import { scheduleText } from '../../../lib/schedule/replay.ts';
import { footprintOf, grid, type Operation, read, Toy, write } from './toy.ts';

const all = (world: Toy, options: { distinct?: boolean; preemptions?: number } = {}) =>
  [...everySchedule(world, { longest: 1000, ...options })].map(scheduleText);

/** (n * k)! / k!^n. */
function multinomial(n: number, k: number): number {
  const factorial = (m: number): bigint => (m < 2 ? 1n : BigInt(m) * factorial(m - 1));
  return Number(factorial(n * k) / factorial(k) ** BigInt(n));
}

describe('every schedule', () => {
  for (const [n, k, count] of [
    [1, 5, 1],
    [2, 2, 6],
    [2, 5, 252],
    [2, 8, 12_870],
    [3, 3, 1680],
    [3, 4, 34_650],
    [4, 2, 2520],
  ] as const)
    test(`${n} of ${k} steps: ${count}, each once`, () => {
      const schedules = all(grid(n, k));
      assert.equal(count, multinomial(n, k));
      assert.equal(schedules.length, count);
      assert.equal(new Set(schedules).size, count);
    });

  test('they come in the order of the numbers', () => {
    assert.deepEqual(all(grid(2, 2)), ['0011', '0101', '0110', '1001', '1010', '1100']);
  });

  test('a world in which nobody can go on has one, which is empty', () => {
    assert.deepEqual(all(new Toy([[], []])), ['']);
  });

  test('one that does not end is refused by its length', () => {
    assert.throws(() => [...everySchedule(grid(2, 6), { longest: 11 })], { code: 'ERR_SCHEDULE_LENGTH' });
    assert.equal(all(grid(2, 3)).length, 20);
  });

  test('a world that can be saved is taken back to its branches, and need not begin again', () => {
    const world = grid(2, 4);
    const again = new (class extends Toy {
      save() {
        const done = [...this.done];
        // Some places cannot be saved.
        return done.length % 3 === 2
          ? null
          : () => {
              this.done = [...done];
            };
      }
    })(world.threads);
    for (const schedule of everySchedule(again, { longest: 1000 }))
      assert.deepEqual(
        again.done.map(({ who }) => who),
        schedule,
      );
    assert.deepEqual(all(again), all(world));
    assert.equal(again.begun, 2);
    assert.equal(world.begun, 70);
  });

  test('with few preemptions: those of all that have no more', () => {
    for (const preemptions of [0, 1, 2, 3]) {
      const world = grid(2, 4);
      const few = all(grid(2, 4)).filter((schedule) => {
        world.begin();
        let count = 0;
        let last: number | undefined;
        for (const who of [...schedule].map(Number)) {
          if (isPreemption(last, world.ready(), who)) count += 1;
          world.step(who);
          last = who;
        }
        return count <= preemptions;
      });
      assert.deepEqual(all(grid(2, 4), { preemptions }), few);
    }
  });
});

/** The same for schedules that differ in the order of independent steps alone: the order of each pair that depends. */
function traceOf(world: Toy, schedule: string): string {
  world.begin();
  for (const who of schedule) world.step(Number(who));
  const count = new Map<number, number>();
  const steps = world.done.map(({ who, operation }) => {
    const number = (count.get(who) ?? 0) + 1;
    count.set(who, number);
    return { name: `${who}.${number}`, who, touched: footprintOf(operation) };
  });
  const pairs = steps.flatMap((a, index) =>
    steps
      .slice(index + 1)
      .filter((b) => a.who === b.who || !independent(a.touched, b.touched))
      .map((b) => `${a.name}<${b.name}`),
  );
  return pairs.sort().join(' ');
}

const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.constant<Operation>('own'),
  fc.constant<Operation>('unknown'),
  fc.constantFrom('x', 'y').map(read),
  fc.constantFrom('x', 'y').map(write),
);

describe('distinct schedules', () => {
  test('steps that touch nothing of each other have one order', () => {
    assert.equal(all(new Toy([Array(8).fill('own'), Array(8).fill('own')]), { distinct: true }).length, 1);
    assert.equal(all(new Toy([[write('x')], [write('y')], [write('z')]]), { distinct: true }).length, 1);
    assert.equal(all(new Toy([[read('x')], [read('x')]]), { distinct: true }).length, 1);
  });

  test('steps that nothing is known of have all of them', () => {
    assert.equal(all(grid(2, 4), { distinct: true }).length, 70);
  });

  test('there is exactly one of each trace, by brute force', () => {
    fc.assert(
      fc.property(fc.array(fc.array(operation, { maxLength: 3 }), { minLength: 1, maxLength: 3 }), (threads) => {
        const world = new Toy(threads);
        const traces = new Set(all(world).map((schedule) => traceOf(world, schedule)));
        const found = all(world, { distinct: true }).map((schedule) => traceOf(world, schedule));
        assert.deepEqual(new Set(found), traces);
        assert.equal(found.length, traces.size);
      }),
      { numRuns: 150 },
    );
  });
});

describe('what a step touches', () => {
  const plain = { memory: [], apic: false, interruptible: false };
  test('an access of the local APIC depends on the others, and on a step that an interrupt can take the place of', () => {
    const apic = { ...plain, apic: true };
    assert.equal(independent(apic, apic), false);
    assert.equal(independent(apic, plain), true);
    assert.equal(independent(apic, { ...plain, interruptible: true }), false);
    assert.equal(independent({ ...plain, interruptible: true }, apic), false);
    assert.equal(independent({ ...plain, interruptible: true }, { ...plain, interruptible: true }), true);
  });

  test('memory: the same bytes, one of them a write', () => {
    const at = (from: number, to: number, writes: boolean) => ({ ...plain, memory: [{ from, to, writes }] });
    assert.equal(independent(at(0, 4, true), at(4, 8, true)), true);
    assert.equal(independent(at(0, 5, true), at(4, 8, false)), false);
    assert.equal(independent(at(0, 5, false), at(4, 8, false)), true);
  });
});
