/** How far nodes have come, and when all of them are idle: the state machine alone. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  answer,
  anyAt,
  areAllIdle,
  beginRun,
  behind,
  hear,
  newStages,
  type StagesState,
  stageOf,
  wordOf,
} from '../../../lib/node/stages.ts';

const shards = ['x', 'y', 'z'];
const three = () => shards.map((_, node) => newStages(node, shards));

function tellAll(all: readonly StagesState[]): void {
  for (const one of all) {
    const word = wordOf(one);
    for (const other of all) hear(other, word);
  }
}

/** Each node answers, tells it, and the first one looks. */
function ask(all: readonly StagesState[], idle: readonly boolean[], activity: readonly number[]): boolean {
  tellAll(all);
  for (const [node, one] of all.entries()) answer(one, idle[node]!, activity[node]!);
  tellAll(all);
  return areAllIdle(all[0]!);
}

describe('nodes in a run', () => {
  test('who is behind, and whether somebody has come so far', () => {
    const all = three();
    all[0]!.stage = stageOf(1, 'told');
    all[1]!.stage = stageOf(1, 'stopped');
    tellAll(all);
    assert.deepEqual(behind(all[0]!, stageOf(1, 'ready')), [2]);
    assert.deepEqual(behind(all[0]!, stageOf(1, 'quiet')), [1, 2]);
    assert.ok(anyAt(all[2]!, stageOf(1, 'stopped')));
    assert.ok(!anyAt(all[2]!, stageOf(2, 'ready')));
  });

  test('are idle for good when two questions have found so and nothing has happened in between', () => {
    const all = three();
    for (const one of all) beginRun(one);
    const yes = [true, true, true];
    assert.ok(!ask(all, yes, [1, 2, 3]), 'the first finding says nothing of what came since');
    assert.ok(!ask(all, yes, [1, 2, 4]), 'something came to the third');
    assert.ok(!ask(all, [true, false, true], [1, 2, 4]));
    assert.ok(!ask(all, yes, [1, 2, 4]), 'it was not idle before');
    assert.ok(ask(all, yes, [1, 2, 4]));
  });

  test('an answer that is missing, or to an earlier question, is none', () => {
    const all = three();
    for (const one of all) beginRun(one);
    const yes = [true, true, true];
    ask(all, yes, [0, 0, 0]);
    // The third has not heard of the question yet.
    hear(all[1]!, wordOf(all[0]!));
    answer(all[0]!, true, 0);
    answer(all[1]!, true, 0);
    hear(all[0]!, wordOf(all[1]!));
    assert.ok(!areAllIdle(all[0]!));
    tellAll(all);
    answer(all[2]!, true, 0);
    hear(all[0]!, wordOf(all[2]!));
    assert.ok(areAllIdle(all[0]!));
  });

  test('what was answered in one run says nothing of the next', () => {
    const all = three();
    for (const one of all) beginRun(one);
    const yes = [true, true, true];
    ask(all, yes, [5, 5, 5]);
    for (const one of all) beginRun(one);
    assert.ok(!ask(all, yes, [5, 5, 5]));
    assert.ok(ask(all, yes, [5, 5, 5]));
  });

  test('words of others than the shards, and old ones, are not taken', () => {
    const [a, b] = three() as [StagesState, StagesState, StagesState];
    const old = wordOf(b);
    b.stage = stageOf(1, 'ready');
    assert.ok(hear(a, wordOf(b)));
    assert.ok(!hear(a, old));
    assert.ok(!hear(a, { ...wordOf(b), shard: 'stranger' }));
    assert.ok(!hear(a, { ...wordOf(b), node: 7 }));
    assert.ok(!hear(a, wordOf(a)), 'its own');
    assert.deepEqual(behind(a, stageOf(1, 'ready')), [2]);
  });
});
