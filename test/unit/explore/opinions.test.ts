/** Who stands alone: the comparison of several local APICs, and the guest's text read back. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  compareHistory,
  type Known,
  type OpinionDifference,
  type OpinionName,
  verdictOf,
} from '../../../lib/explore/opinions/compare.ts';
import { drawHistories } from '../../../lib/explore/opinions/draw.ts';
import { bytesOf, type OwnHistory, ROOM, romOf } from '../../../lib/explore/opinions/guest.ts';
import { knownWays } from '../../../lib/explore/opinions/known.ts';
import { ROM_SIZE } from '../../../lib/explore/opinions/machine.ts';
import { ModelMachine, predict } from '../../../lib/explore/opinions/predict.ts';
import { smaller } from '../../../lib/explore/opinions/smaller.ts';
import { readTold, type Sighting } from '../../../lib/explore/opinions/told.ts';

const TPR = 0x08;
const PPR = 0x0a;
const history: OwnHistory = {
  number: 0,
  mode: 'xapic',
  operations: [
    { do: 'write', on: 0, register: 'TPR', value: 0x20 },
    { do: 'nop', on: 0 },
  ],
};

/** One who sees these values of a register, one after the other. */
function sightings(register: number, ...values: number[]): Sighting[] {
  return values.map((value) => {
    const registers = new Array<number>(64).fill(0);
    registers[register] = value;
    return { reset: false, handled: [], result: null, registers };
  });
}

const compared = (
  told: Partial<Record<OpinionName, Sighting[] | null>>,
  known: readonly Known[] = [],
): OpinionDifference[] =>
  compareHistory(0, history, new Map(Object.entries(told)) as Map<OpinionName, Sighting[] | null>, known);

const way = (who: OpinionName[], parts = false): Known => ({
  ...{ name: 'a-way', who, does: 'it', where: 'there', section: 'Any', parts },
  covers: ({ field }) => field === 'TPR',
});

describe('who stands alone', () => {
  const cases: [Partial<Record<OpinionName, string>>, string][] = [
    [{ model: '1', vmx: '1', svm: '1', qemu: '1', bochs: '2' }, 'bochs stands alone'],
    [{ model: '2', vmx: '1', svm: '1' }, 'model stands alone'],
    [{ model: '1', vmx: '1', svm: '1', qemu: '2', bochs: '2' }, 'qemu and bochs against model and vmx and svm'],
    [{ model: '1', qemu: '2' }, 'model, qemu: each another'],
    [{ model: '1', qemu: '2', bochs: '3' }, 'model, qemu, bochs: each another'],
    [{ model: '1', svm: '1', qemu: '2', bochs: '3' }, 'qemu against bochs against model and svm'],
  ];
  for (const [values, verdict] of cases)
    test(verdict, () => {
      assert.equal(verdictOf(new Map(Object.entries(values)) as Map<OpinionName, string>), verdict);
    });
});

describe('the comparison of a history', () => {
  test('those who say the same differ in nothing', () => {
    const one = sightings(TPR, 0, 0x20, 0x20);
    assert.deepEqual(compared({ model: one, svm: one, qemu: one }), []);
  });

  test('a difference has its place, its operation, and every value', () => {
    const same = sightings(TPR, 0, 0x20, 0x20);
    const found = compared({ model: same, svm: same, bochs: sightings(TPR, 0, 0x21, 0x21) });
    assert.equal(found.length, 1);
    const { at, field, verdict, values, operation, known } = found[0]!;
    assert.deepEqual([at, field, verdict, known], [1, 'TPR', 'bochs stands alone', []]);
    assert.deepEqual(operation, history.operations[0]);
    assert.deepEqual(Object.fromEntries(values), { model: '0x20', svm: '0x20', bochs: '0x21' });
  });

  test('who has parted is not compared any more, and the others are', () => {
    const found = compared({
      model: sightings(TPR, 0, 0x20, 0x30),
      svm: sightings(TPR, 0, 0x20, 0x40),
      bochs: sightings(TPR, 0, 0x21, 0x50),
    });
    assert.deepEqual(
      found.map(({ at, verdict }) => [at, verdict]),
      [
        [1, 'bochs stands alone'],
        [2, 'model, svm: each another'],
      ],
    );
  });

  test('where a known way explains it, the field is left out for the one who has it, and the rest is compared', () => {
    const same = sightings(TPR, 0, 0x20, 0x20);
    const own = sightings(TPR, 0, 0x21, 0x22);
    own[2]!.registers = own[2]!.registers.with(PPR, 0x99);
    const found = compared({ model: same, svm: same, qemu: own }, [way(['qemu'])]);
    assert.deepEqual(
      found.map(({ at, field, known }) => [at, field, known.map(({ name }) => name)]),
      [
        [1, 'TPR', ['a-way']],
        [2, 'PPR', []],
      ],
    );
  });

  test('a known way that leaves more behind parts them', () => {
    const same = sightings(TPR, 0, 0x20, 0x20);
    const own = sightings(TPR, 0, 0x21, 0x22);
    own[2]!.registers = own[2]!.registers.with(PPR, 0x99);
    assert.equal(compared({ model: same, svm: same, qemu: own }, [way(['qemu'], true)]).length, 1);
  });

  test('a known way explains nothing where others differ as well', () => {
    const told = { model: sightings(TPR, 0, 1, 1), svm: sightings(TPR, 0, 2, 2), qemu: sightings(TPR, 0, 3, 3) };
    assert.deepEqual(compared(told, [way(['qemu'])])[0]?.known, []);
    assert.equal(compared(told, [way(['qemu']), way(['svm'])])[0]?.known.length, 2);
  });

  test('a reset that was not asked for is a difference', () => {
    const same = sightings(TPR, 0, 0x20, 0x20);
    const reset = [...sightings(TPR, 0), { reset: true, handled: [], result: null, registers: [] }];
    const [first, ...more] = compared({ model: same, svm: same, qemu: reset });
    assert.deepEqual([first?.field, first?.verdict, more.length], ['reset', 'qemu stands alone', 0]);
  });

  test('one without the mode has no opinion', () => {
    const same = sightings(TPR, 0, 0x20, 0x20);
    assert.deepEqual(compared({ model: same, qemu: null }), []);
  });
});

test('a difference is made smaller, in one go', async () => {
  const operations = Array.from({ length: 9 }, (_, value) => ({ do: 'writeCr8', on: 0, value }) as const);
  const whole: OwnHistory = { number: 3, mode: 'xapic', operations };
  // It takes 0, 5 and 8.
  const shows = (one: OwnHistory) => {
    const values = one.operations.map((operation) => ('value' in operation ? operation.value : -1));
    return [0, 5, 8].every((value) => values.includes(value));
  };
  const difference: OpinionDifference = {
    ...{ mode: 'xapic', operation: operations[8]!, field: 'TPR', register: 'TPR', before: null, history: 0, at: 9 },
    ...{ values: new Map(), verdict: 'qemu stands alone', known: [] },
  };
  // Another one, of which nothing shorter shows anything.
  const other = { ...difference, history: 1 };
  const alike = { ...whole, number: 4, operations: operations.filter(({ value }) => value !== 5) };
  let asked = 0;
  const [small, large] = await smaller([difference, { ...other, at: 8 }], [whole, alike], async (some) => {
    asked += 1;
    return some.map((one, history) => (shows(one) ? [{ ...difference, history }] : []));
  });
  assert.deepEqual(large?.history, alike);
  assert.equal(asked, 1);
  assert.equal(small?.history.number, 3);
  assert.deepEqual(
    small.history.operations.map((operation) => 'value' in operation && operation.value),
    [0, 5, 8],
  );
});

describe('the guest', () => {
  test('its text is read back', () => {
    const text = 'H00000000r0f000000ff\nr0f000001ff\nh31h02=00000007:00000001\nX\nH00000001-\nend\n';
    const [first, second] = readTold(text, 'it');
    assert.equal(second, null);
    assert.deepEqual(
      first?.map(({ registers, handled, result, reset }) => [registers[0x0f], handled, result, reset]),
      [
        [0xff, [], null, false],
        [0x1ff, [], null, false],
        [0x1ff, [0x31, 2], { low: 7, high: 1 }, false],
        [0x1ff, [], null, true],
      ],
    );
  });

  for (const [what, text, message] of [
    ['that has no end', 'H00000000r0f000000ff\n', /did not come to its end/],
    ['that lost itself', 'H00000000r0f000000ff\nlost\n', /lost itself: the INIT .*\n {2}\| H00000000/],
    ['without a history', 'H00000001r0f000000ff\nend\n', /history 0 is missing/],
    ['with other words', 'H00000000r0f000000ff\nhello\nend\n', /what it never writes\n {2}\| hello/],
  ] as const)
    test(`a text ${what} is an error`, () => {
      assert.throws(() => readTold(text, 'it'), { code: 'ERR_EXPLORE_TEXT', message });
    });

  test('histories fit into its ROM, and begin at the reset vector', () => {
    const histories = drawHistories(7, 200);
    assert.ok(bytesOf(histories) < ROOM);
    const rom = romOf(histories);
    assert.equal(rom.length, ROM_SIZE);
    assert.equal(rom.at(-16), 0xe9);
  });
});

describe('what is drawn', () => {
  test('the same seed gives the same, one of them alone too', () => {
    const some = drawHistories(5, 30);
    assert.deepEqual(drawHistories(5, 30), some);
    assert.deepEqual(
      drawHistories(5, 12).find(({ number }) => number === 11),
      some.find(({ number }) => number === 11),
    );
    assert.notDeepEqual(drawHistories(6, 30), some);
  });

  test('those in x2APIC mode come last, and each is told of by the model to its end', () => {
    const some = drawHistories(5, 60);
    const modes = some.map(({ mode }) => mode);
    assert.deepEqual(modes, modes.toSorted().reverse());
    assert.ok(modes.includes('x2apic'));
    const told = predict(some);
    assert.deepEqual(
      told.map((one) => one?.length),
      some.map(({ operations }) => operations.length + 1),
    );
  });

  test('none resets the machine by itself', () => {
    const machine = new ModelMachine();
    for (const { mode, operations } of drawHistories(5, 60)) {
      machine.begin(mode);
      for (const operation of operations) {
        assert.equal(machine.wouldReset(operation), false);
        machine.perform(operation);
      }
    }
  });
});

test('what is known names whom, what, where and why, each once', () => {
  const names = knownWays.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  for (const { who, does, where, section } of knownWays) {
    assert.ok(who.length > 0 && who.length < 5);
    assert.match(where, /^\S+\.c{1,2}, \w+/);
    assert.ok(does.length > 0 && section.length > 0);
  }
});
