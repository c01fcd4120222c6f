import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultTimeout, ROUND_TIMEOUT } from '../../../lib/runner/suite/options.ts';

test('without --timeout each round has the time of one, and --thorough twenty times as much', () => {
  assert.equal(defaultTimeout({ repeat: 1, thorough: false }), ROUND_TIMEOUT);
  assert.equal(defaultTimeout({ repeat: 10, thorough: false }), 10 * ROUND_TIMEOUT);
  assert.equal(defaultTimeout({ repeat: 2, thorough: true }), 40 * ROUND_TIMEOUT);
});
