/** Names by number. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  exitReasonName,
  exitReasons,
  internalErrorName,
  internalErrors,
  systemEventName,
  systemEvents,
} from '../../../lib/abi/kvm/exit-reason.ts';
import { namesByNumber } from '../../../lib/abi/names.ts';

test('a table whose numbers have gaps, and another order', () => {
  const names = namesByNumber({ LAST: 40, FIRST: 1, NEXT: 2 });
  assert.deepEqual(
    [0, 1, 2, 3, 40].map((number) => names.get(number)),
    [undefined, 'FIRST', 'NEXT', undefined, 'LAST'],
  );
});

test('every number of the tables has its own name, and no other has one', () => {
  for (const [table, nameOf] of [
    [exitReasons, exitReasonName],
    [internalErrors, internalErrorName],
    [systemEvents, systemEventName],
  ] as const) {
    for (const [name, number] of Object.entries(table)) assert.equal(nameOf(number), name);
    assert.equal(nameOf(Math.max(...Object.values(table)) + 1), undefined);
    assert.equal(nameOf(-1), undefined);
  }
});
