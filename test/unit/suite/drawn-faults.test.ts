import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ArgumentError } from '../../../lib/base/errors.ts';
import { kernelInputs } from '../../../lib/lab/kernel/inputs.ts';
import { actions } from '../../../lib/suite/faults/drawn/actions.ts';
import { drawFaults } from '../../../lib/suite/faults/drawn/draw.ts';
import { equivalents, whyEquivalent } from '../../../lib/suite/faults/drawn/equivalent.ts';
import { ops, REPLAYS, sites } from '../../../lib/suite/faults/drawn/field.ts';
import { fields } from '../../../lib/suite/faults/drawn/fields.ts';
import { type FaultLane, unmeetable, whyUnmeetable } from '../../../lib/suite/faults/drawn/lanes.ts';
import { describe as inWords, isSpec, readSpec, writeSpec } from '../../../lib/suite/faults/drawn/spec.ts';
import { readRanges } from '../../../lib/suite/faults/watch.ts';

const kernel = (file: string) => readFileSync(join(kernelInputs(), 'fault/arch/x86/kvm', file), 'utf8');
const conditions = kernel('dsm_fault_cond.c');
const acts = kernel('dsm_fault_act.c');

/** The names in one of the kernel's lists. */
function names(source: string, list: string): string[] {
  const text = new RegExp(`#define ${list}\\(X\\)(?:.*\\\\\\n)*.*\\n`).exec(source)![0];
  return [...text.matchAll(/X\(\w+, "([^"]+)"\)/g)].map(([, name]) => name!);
}
const unique = (list: readonly string[]) => [...new Set(list)].toSorted();

describe('the tables are those of the kernel', () => {
  test('fields', () => {
    const known = [...names(conditions, 'WRITE_FIELDS'), ...names(conditions, 'ANY_FIELDS')];
    assert.deepEqual(unique(fields.map(({ name }) => name)), known.filter((name) => name !== 'always').toSorted());
  });

  test('fields that need the vCPU loaded are asked of writes alone', () => {
    const loaded = names(conditions, 'WRITE_FIELDS');
    const asked = fields.filter(({ sites: where }) => where.some((site) => REPLAYS.includes(site) || site === 'other'));
    assert.deepEqual(
      asked.filter(({ name }) => loaded.includes(name)),
      [],
    );
  });

  test('actions, each of which does something', () => {
    const known = names(acts, 'ACTIONS').filter((name) => name !== 'watch');
    assert.deepEqual(unique(actions.map(({ name }) => name)), known.toSorted());
    for (const [, id] of acts.matchAll(/X\((\w+), "/g))
      assert.match(acts, new RegExp(`(case|==|!=) ACTION_${id}\\b`), id);
  });

  test('sites and operators', () => {
    const listed = (list: string) =>
      [...new RegExp(`${list}\\[\\] = \\{([^}]*)\\}`).exec(conditions)![1]!.matchAll(/"([^"]+)"/g)].map(
        ([, name]) => name,
      );
    assert.deepEqual(listed('site_names'), [...sites]);
    assert.deepEqual(listed('op_names'), [...ops]);
  });
});

describe('drawing', () => {
  test('the same seed draws the same faults, fewer are the first of more, and another seed draws others', () => {
    const drawn = (count: number, seed: number) => drawFaults(count, seed, 'svm').map(writeSpec);
    assert.deepEqual(drawn(50, 7), drawn(50, 7));
    assert.deepEqual(drawn(20, 7), drawn(50, 7).slice(0, 20));
    assert.notDeepEqual(drawn(50, 7), drawn(50, 8));
    assert.equal(new Set(drawn(300, 1)).size, 300);
  });

  test('what is drawn is valid: it can be read again, and observed', () => {
    for (const fault of drawFaults(2000, 3, 'svm')) {
      assert.deepEqual(readSpec(writeSpec(fault)), fault);
      assert.equal(whyEquivalent(fault), null);
      assert.ok(writeSpec(fault).length < 127, 'the parameter takes no more');
    }
  });

  test('every site, field and action comes up', () => {
    const drawn = drawFaults(8000, 5, 'svm');
    assert.deepEqual(unique(drawn.map(({ site }) => site)), [...sites].toSorted());
    const asked = drawn.flatMap(({ conditions: all }) => all.map(({ field }) => field.name));
    assert.deepEqual(unique(asked), unique(fields.map(({ name }) => name)));
    assert.deepEqual(unique(drawn.map(({ action }) => action.name)), unique(actions.map(({ name }) => name)));
  });

  test('one in six has two conditions, of different groups; in most the second is about what is written, or when', () => {
    const two = drawFaults(3000, 9, 'svm').filter(({ conditions: all }) => all.length === 2);
    assert.ok(two.length > 400 && two.length < 600, `${two.length}`);
    const groups = two.map(({ conditions: all }) => all.map(({ field }) => field.group));
    assert.ok(groups.every(([one, other]) => one !== other));
    const ofWrites = groups.filter(([, group]) => group === 'write' || group === 'history');
    assert.ok(ofWrites.length * 3 > two.length * 2 && ofWrites.length < two.length, `${ofWrites.length}`);
  });

  test('what no guest of a lane can meet is not drawn for it, and is for another', () => {
    const specs = (lane: FaultLane) => drawFaults(20_000, 5, lane).map(writeSpec);
    const about = (lane: FaultLane, text: string) => specs(lane).filter((spec) => spec.includes(text)).length;
    assert.equal(about('svm', 'last-exit.eq.1:'), 0);
    assert.ok(about('vmx', 'last-exit.eq.1:') > 0);
    for (const lane of ['svm', 'vmx'] as const) assert.equal(about(lane, 'last-exit.eq.0xa'), 0);
    // Each is a condition that could be drawn.
    for (const { field, op, value } of unmeetable)
      assert.ok(
        fields.some(
          ({ name, tests }) =>
            name === field && tests.some(([test, ...values]) => test === op && values.includes(value)),
        ),
        field,
      );
    assert.match(whyUnmeetable(readSpec('icr2:last-exit.eq.1:lose'), 'svm')!, /vmx alone/);
    assert.equal(whyUnmeetable(readSpec('icr2:last-exit.eq.1:lose'), 'vmx'), null);
  });

  test('each reason to leave one out is one, and not for every fault', () => {
    for (const spec of [
      'icr:vcpus.eq.1:leak',
      'icr:vcpus.eq.2:other-vcpu=2',
      'icr:shorthand.eq.0:no-shorthand',
      'icr:shorthand.eq.2:flip-target=0',
      'icr:delivery-mode.eq.3:unsent',
      'icr:delivery-mode.eq.4:flip-sent=0',
      'icr:dest-count.eq.0:unsent',
      'ipi-icr:tpr.ge.0x10:send-twice',
      'icr:writes.eq.1:stale-val2',
      'icr:same-value.eq.1:stale-val2',
      'icr:dest.eq.0:zero-dest',
      'icr2:unchanged.eq.1:read-back',
      'ipi-icr:level.eq.0:clear-bit=14',
      'icr:sw-enabled.eq.0:poke-lvtt=16',
      'x2apic:pit.eq.1:poke-ldr=24',
      'x2apic:ldr.ne.0:ignore',
      'icr:tpr.ge.0x10&shorthand.eq.0:no-shorthand',
      'icr:to-tpr.eq.0x20&dest-count.eq.0:lose',
      'x2apic:apic-id.ge.2:ignore',
      'icr:map-max.eq.0:lose',
      'icr2:last-exit.eq.5:lose',
      'icr:op-bytes.eq.8:lose',
      'icr:op-bytes.ne.4:lose',
    ])
      assert.notEqual(whyEquivalent(readSpec(spec)), null, spec);
    for (const spec of [
      'icr:vcpus.eq.2:leak',
      'icr:delivery-mode.eq.4:flip-sent=8',
      'icr:level.eq.1:lose',
      'icr2:last-exit.eq.6:lose',
      'icr:op-bytes.eq.4:lose',
      'ipi-icr:apic-id.ge.2:ignore',
      'ipi-icr:pit.eq.1:poke-ldr=24',
    ])
      assert.equal(whyEquivalent(readSpec(spec)), null, spec);
    assert.equal(equivalents.length, 20);
  });
});

describe('specs', () => {
  test('are told from names, and said in words', () => {
    assert.equal(isSpec('icr:tpr.ge.0x20:lose'), true);
    assert.equal(isSpec('lose-first'), false);
    assert.equal(inWords(readSpec('icr:tpr.ge.0x20:lose')), 'an ICR write makes no exit if the TPR is at least 0x20');
    assert.equal(
      inWords(readSpec('icr2:signal.eq.1:late=2')),
      'an ICR2 write makes its exit after the next write with a pending signal',
    );
    assert.equal(
      inWords(readSpec('icr:smm.eq.1&vector.lt.0x20:lose')),
      'an ICR write makes no exit with system management mode and if the vector is below 0x20',
    );
  });

  test('what cannot be drawn is refused', () => {
    for (const spec of [
      'icr:tpr.ge.0x20:nonsense',
      'icr:nonsense.ge.1:lose',
      'icr:tpr.above.1:lose',
      'nowhere:tpr.ge.1:lose',
      'ipi-icr:cpl.eq.3:ignore',
      'icr:tpr.ge.1:flip-val2',
      'icr:tpr.ge.1:lose=1',
      'icr:tpr:lose',
      'icr:tpr.ge.1&:lose',
      'icr:tpr.ge.1&irr.ge.1&isr.ge.1:lose',
      'ipi-icr:tpr.ge.1&cpl.eq.3:ignore',
    ])
      assert.throws(() => readSpec(spec), ArgumentError, spec);
  });
});

test('what the kernel says of watched faults is read', () => {
  assert.deepEqual(readRanges(''), []);
  assert.deepEqual(readRanges('0,3-5,17'), [0, 3, 4, 5, 17]);
});
