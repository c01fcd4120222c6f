/** States and VMs that the seed puts together: what each of them can have comes with what the others can have. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Random } from '../../../lib/index.ts';
import { StateDraw } from '../../../lib/suite/subjects/injection/states/drawn-states.ts';
import { isToEveryone } from '../../../lib/suite/subjects/injection/states/pair.ts';
import type { StandOptions } from '../../../lib/suite/subjects/injection/states/stand.ts';
import { drawTraits, traits, withTraits } from '../../../lib/suite/subjects/injection/states/traits.ts';
import { drawBed } from '../../../lib/suite/subjects/matrix/drawn-bed.ts';
import { targetOf } from '../../../lib/suite/subjects/matrix/scene.ts';
import { machineRows } from '../../../lib/suite/subjects/matrix/tables/machines.ts';

const VCPUS = { ids: [0, 1, 2, 3] };

const namesOf = (seed: number, count: number, x2 = false) => {
  const draw = new StateDraw(new Random(seed), x2, VCPUS);
  return Array.from({ length: count }, (_, n) => draw.scene(n === count - 1).map(({ name }) => name));
};

describe('states of a replay', () => {
  test('are the same for the same seed', () => {
    assert.deepEqual(namesOf(3, 10), namesOf(3, 10));
    assert.notDeepEqual(namesOf(3, 10), namesOf(4, 10));
  });

  test('have each register of the source together with each other one within a run', () => {
    const source = namesOf(5, 60).map((names) => names.find((name) => /^with [A-Z]/.test(name)) ?? '');
    const registers = [
      'SVR',
      'TPR',
      'LVT_TIMER',
      'TDCR',
      'LVT_LINT0',
      'LVT_ERROR',
      'LVT_PMC',
      'ESR',
      'ICR2',
      'IRR',
      'ISR',
    ];
    for (const one of registers)
      for (const other of registers)
        assert.ok(
          source.some((name) => [one, other].every((register) => name.includes(`${register}`))),
          `${one} and ${other}`,
        );
  });

  test('have an APIC id of their own, and others in x2APIC mode, where the mode has them', () => {
    const all = (x2: boolean) => namesOf(7, 100, x2).flat();
    assert.ok(all(false).some((name) => name.includes('ID 0x5c000000')));
    assert.ok(all(false).includes('the others in x2APIC mode'));
    assert.ok(!all(true).some((name) => /\bID 0x/.test(name)));
    assert.ok(!all(true).includes('the others in x2APIC mode'));
  });

  test('have what no ioctl takes back in the last one of a pair alone', () => {
    for (let seed = 1; seed < 20; seed++)
      for (const names of namesOf(seed, 8).slice(0, -1)) assert.ok(!names.some((name) => name.includes('SMM')));
    assert.ok(
      Array.from({ length: 20 }, (_, seed) => namesOf(seed, 2).at(-1)!.join()).some((name) => name.includes('SMM')),
    );
  });
});

describe('VMs of a replay', () => {
  test('have each trait that fits with each other one', () => {
    const random = new Random(1);
    const drawn = Array.from({ length: 40 }, () => drawTraits(random, { ...VCPUS, source: 0, cpuid: 'hyperv' }));
    for (const one of traits)
      for (const other of traits) assert.ok(drawn.some((some) => some.includes(one) && some.includes(other)));
  });

  test('have none that does not fit', () => {
    const random = new Random(2);
    const options: StandOptions = { ...VCPUS, source: 0, irqchip: 'split' };
    const names = new Set(
      Array.from({ length: 40 }, () => drawTraits(random, options)).flatMap((some) => some.map(({ name }) => name)),
    );
    assert.ok(!names.has('a PIT') && ![...names].some((name) => name.includes('Hyper-V')));
  });

  test('do their own acts first, and keep what is theirs', () => {
    const acts: string[] = [];
    const act = (name: string) => () => void acts.push(name);
    const own: StandOptions = { ...VCPUS, source: 2, irqchip: 'split', early: act('own') };
    const both = withTraits(own, [
      { name: '', with: { early: act('one'), logDirtyPages: true } },
      { name: '', with: { early: act('two') } },
    ]);
    both.early!({} as never);
    assert.deepEqual(acts, ['own', 'one', 'two']);
    assert.equal(both.logDirtyPages, true);
    assert.deepEqual([both.ids, both.source, both.irqchip], [own.ids, 2, 'split']);
  });
});

test('an x2APIC IPI to everyone is one by its shorthand or by its destination', () => {
  const x2 = (destination: bigint, icr: bigint) => isToEveryone({ register: 'x2', value: (destination << 32n) | icr });
  assert.deepEqual(
    [x2(1n, 0x8_4041n), x2(1n, 0xc_4041n), x2(0xffff_ffffn, 0x4041n), x2(0xffn, 0x4041n)],
    [true, true, true, true],
  );
  assert.deepEqual([x2(1n, 0x4041n), x2(1n, 0x4_4041n), x2(0xffff_fffen, 0x4041n)], [false, false, false]);
  assert.equal(isToEveryone({ register: 'ICR', value: 0xc_4041 }), false);
});

test('a scene of the matrix has another target than its sender, where there is another vCPU', () => {
  for (const count of [1, 2, 3, 4, 40])
    for (let sender = 0; sender < count; sender++) {
      const target = targetOf(count, sender);
      assert.ok(target >= 0 && target < count, `${count} ${sender} ${target}`);
      assert.equal(target === sender, count === 1, `${count} ${sender}`);
    }
});

describe('VMs of the matrix', () => {
  const beds = (irqchip: 'full' | 'split') => {
    const random = new Random(1);
    return Array.from({ length: 300 }, () => drawBed(random, { irqchip }));
  };

  test('have each trait of the table, and each two of kind any together', () => {
    const any = machineRows.filter(({ trait }) => trait === 'any').map(({ name }) => name);
    const drawn = beds('full').map(({ traits: names }) => names);
    for (const { name } of machineRows.filter(({ trait }) => trait))
      assert.ok(
        drawn.some((names) => names.includes(name)),
        name,
      );
    for (const one of any)
      for (const other of any)
        assert.ok(
          drawn.some((names) => names.includes(one) && names.includes(other)),
          `${one} and ${other}`,
        );
  });

  test('have one of a kind at most, and what fits', () => {
    for (const { traits: names, options } of beds('split')) {
      assert.equal(options.irqchip, 'split');
      assert.ok(!names.includes('pit'));
      for (const kind of ['ids', 'cpuid', 'past'] as const)
        assert.ok(machineRows.filter(({ name, trait }) => trait === kind && names.includes(name)).length <= 1);
      if (names.includes('boot-processor')) assert.ok(options.ids === undefined || options.ids.includes(2));
    }
  });
});
