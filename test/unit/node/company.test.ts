/** Who the shards of a machine are: the state machine alone. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type CompanyState,
  hear,
  homesOf,
  isLeaveKnown,
  lackOf,
  leftOf,
  look,
  newCompany,
  PRESENT,
  wordOf,
} from '../../../lib/node/company.ts';

/** Each says once what it has to say, and all others hear it. */
function round(all: readonly CompanyState[], now: number): void {
  for (const one of all) {
    const word = wordOf(one);
    for (const other of all) if (other !== one) hear(other, word, now);
  }
}

const pair = () => [newCompany('a', [2, 3], 4), newCompany('b', [0, 1], 4)] as const;
const membersOf = ({ members }: CompanyState) => members?.map(({ shard }) => shard);

describe('the shards of a machine', () => {
  test('are together when each has said that it sees all of them, in the order of their vCPUs', () => {
    const all = pair();
    round(all, 0);
    assert.equal(all[1].members, null, 'a has not said yet that it sees b');
    round(all, 1);
    assert.deepEqual(all.map(membersOf), [
      ['b', 'a'],
      ['b', 'a'],
    ]);
    assert.deepEqual(homesOf(all[0].members!, 4), [0, 0, 1, 1]);
  });

  test('one that runs all vCPUs needs nobody', () => {
    const alone = newCompany('a', [0, 1], 2);
    look(alone, 0);
    assert.deepEqual(membersOf(alone), ['a']);
  });

  test('what nobody runs is named, and what several run', () => {
    const all = [newCompany('a', [0, 1], 5), newCompany('b', [1, 2], 5)];
    round(all, 0);
    round(all, 0);
    assert.equal(all[0]!.members, null);
    assert.deepEqual(lackOf(all[0]!, 1), { missing: [3, 4], doubled: [1], sizes: [], begun: [] });
    // The one that died is not there any more.
    assert.deepEqual(lackOf(all[0]!, PRESENT).missing, [2, 3, 4]);
    assert.deepEqual(lackOf(all[0]!, PRESENT).doubled, []);
  });

  test('one with another number of vCPUs is no member', () => {
    const all = [newCompany('a', [0, 1], 4), newCompany('b', [2], 3)];
    round(all, 0);
    round(all, 0);
    assert.deepEqual(lackOf(all[0]!, 1), { missing: [2, 3], doubled: [], sizes: [3], begun: [] });
  });

  test('one that died and was started anew takes its place; a late one is told that they have begun', () => {
    const [a, dead] = pair();
    hear(a, wordOf(dead), 0);
    const anew = newCompany('c', [0, 1], 4);
    round([a, anew], PRESENT / 2);
    assert.equal(a.members, null, 'two claim the same vCPUs');
    for (const later of [1, 2, 3]) {
      look(a, PRESENT + later);
      round([a, anew], PRESENT + later);
    }
    assert.deepEqual(membersOf(a), ['c', 'a']);
    const late = newCompany('d', [2, 3], 4);
    round([a, anew, late], PRESENT + 4);
    assert.deepEqual(lackOf(late, PRESENT + 5).begun, [2, 3, 0, 1]);
    assert.equal(hear(a, wordOf(late), PRESENT + 6), false);
    assert.ok(!a.known.has('d'));
    assert.deepEqual(membersOf(a), ['c', 'a'], 'nothing changes that');
  });

  test('an older word that comes late says nothing, and who has left is known to have', () => {
    const all = pair();
    const [a, b] = all;
    const early = wordOf(a);
    for (const now of [0, 1, 2]) round(all, now);
    assert.equal(hear(b, early, 3), false);
    a.left = 'failed';
    assert.equal(isLeaveKnown(a), false);
    const word = wordOf(a);
    assert.equal(hear(b, word, 3), true);
    assert.equal(leftOf(b, 'a'), 'failed');
    hear(b, { ...word, n: 1, left: 'no' }, 4);
    assert.equal(leftOf(b, 'a'), 'failed');
    hear(a, wordOf(b), 4);
    assert.equal(isLeaveKnown(a), true);
  });
});
