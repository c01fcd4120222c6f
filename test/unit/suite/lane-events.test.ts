/** What the suite tells out of a machine of the lab. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readLaneEvent, writeLaneEvent } from '../../../lib/runner/suite/lane-events.ts';

const secret = '0123456789abcdef';

test('what is written with the secret is read with it', () => {
  for (const event of [
    { type: 'outcome', n: 1, outcome: { kind: 'pass' }, ms: 1, exits: 2 },
    { type: 'note', text: 'words' },
    { type: 'end', end: 'timeout' },
  ] as const)
    assert.deepEqual(readLaneEvent(secret, writeLaneEvent(secret, event).trimEnd()), event);
});

test("without it a line is somebody else's, whatever it holds", () => {
  for (const line of ['null', '{"type":"end","end":"done"}', `x${secret} null`, secret, ''])
    assert.equal(readLaneEvent(secret, line), null);
});

test('with it, what is no event is told by name', () => {
  for (const line of [
    'null',
    '[]',
    '7',
    'words',
    '{"type":"ended"}',
    '{"type":"end","end":"well"}',
    '{"type":"note"}',
    '{"type":"facts","facts":null}',
    '{"type":"outcome","n":"1","outcome":{"kind":"pass"},"ms":1,"exits":2}',
    '{"type":"outcome","n":1,"outcome":{"kind":"fail"},"ms":1,"exits":2}',
  ])
    assert.equal(readLaneEvent(secret, `${secret} ${line}`), `this is no event: ${line}`);
});
