/** Schedules by chance, their text, and how one is made simpler. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { pctSchedules, randomSchedules } from '../../../lib/schedule/choose.ts';
import { parseSchedule, replay, scheduleText } from '../../../lib/schedule/replay.ts';
import { joined, switches } from '../../../lib/schedule/shrink.ts';
import type { Schedule } from '../../../lib/schedule/world.ts';
import { Random } from '../../../lib/script/random.ts';
import { grid } from './toy.ts';

const draw = (seed: number) => {
  const random = new Random(seed);
  return (min: number, max: number) => random.integer(min, max);
};
const texts = (schedules: Iterable<Schedule>) => [...schedules].map(scheduleText);
const pct = (seed: number, count: number, depth: number) =>
  texts(pctSchedules(grid(2, 4), { count, depth, vcpus: [0, 1] }, draw(seed), 100));

describe('random schedules', () => {
  test('the same seed, the same schedules; each is one of all', () => {
    const some = texts(randomSchedules(grid(3, 3), 50, draw(7), 100));
    assert.deepEqual(texts(randomSchedules(grid(3, 3), 50, draw(7), 100)), some);
    assert.notDeepEqual(texts(randomSchedules(grid(3, 3), 50, draw(8), 100)), some);
    for (const schedule of some) assert.equal([...schedule].sort().join(''), '000111222');
  });

  test('of 2x2 all six come', () => {
    assert.equal(new Set(texts(randomSchedules(grid(2, 2), 200, draw(1), 100))).size, 6);
  });

  test('one without end is refused', () => {
    assert.throws(() => texts(randomSchedules(grid(2, 6), 1, draw(1), 11)), { code: 'ERR_SCHEDULE_LENGTH' });
  });
});

describe('PCT', () => {
  test('depth 1 never changes who goes on: both orders come', () => {
    assert.deepEqual(new Set(pct(1, 50, 1)), new Set(['00001111', '11110000']));
  });

  test('depth d changes at most d - 1 times before one is at its end', () => {
    const found = pct(3, 300, 2);
    assert.ok(found.every((schedule) => switches(parseSchedule(schedule)) <= 2));
    assert.ok(found.some((schedule) => switches(parseSchedule(schedule)) === 2));
    assert.ok(new Set(found).size > 5);
    assert.deepEqual(pct(3, 300, 2), found);
  });
});

describe('a schedule as text', () => {
  test('a character for each of 64 vCPUs, there and back', () => {
    const every = Array.from({ length: 64 }, (_, who) => who);
    assert.deepEqual(parseSchedule(scheduleText(every)), every);
    assert.equal(scheduleText([0, 1, 10, 35]), '01az');
    assert.throws(() => parseSchedule('01!'), { code: 'ERR_ARGUMENT', message: /Character 3 .* "!"/ });
  });

  test('is run again, and refused where it does not fit', () => {
    const world = grid(2, 2);
    replay(world, parseSchedule('0110'));
    assert.deepEqual(
      world.done.map(({ who }) => who),
      [0, 1, 1, 0],
    );
    assert.throws(() => replay(world, parseSchedule('0002')), {
      code: 'ERR_SCHEDULE',
      step: 3,
      message: 'At step 3 the schedule names vCPU 0, which cannot go on; only these can: 1',
    });
    assert.throws(() => replay(world, parseSchedule('00111')), { step: 5, message: /all is over/ });
    assert.throws(() => replay(world, parseSchedule('001')), { step: 4, message: /ends after 3 steps, and vCPU 1/ });
  });
});

describe('the fewest switches', () => {
  const asText = (of: string, fails: (schedule: string) => boolean) =>
    scheduleText(joined(parseSchedule(of), (schedule) => (fails(scheduleText(schedule)) ? schedule : null)));

  test('what always fails has one for each vCPU', () => {
    assert.equal(
      asText('0101011', () => true),
      '0001111',
    );
  });

  test('what only fails by itself stays', () => {
    assert.equal(
      asText('010101', (schedule) => schedule === '010101'),
      '010101',
    );
  });

  test('a step of one between two of the other stays there', () => {
    // vCPU 1's second step comes between vCPU 0's first and second one.
    const fails = (schedule: string) => {
      const second = [...schedule].flatMap((who, at) => (who === '1' ? [at] : []))[1]!;
      const zeros = [...schedule.slice(0, second)].filter((who) => who === '0').length;
      return zeros === 1;
    };
    const found = asText('1011010', fails);
    assert.ok(fails(found));
    assert.equal(switches(parseSchedule(found)), 2);
  });
});
