/** What stacks call the places of the package inside a lab. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutInside } from '../../../lib/runner/evaluate/script-stack.ts';

test('a place of the package inside the lab is the package, and every other one stays', () => {
  const frames = [
    ['async inContext (/home/me/.cache/kvm-dsm/medium-a57ot2/pkg/package.cjs:537:19095)', 'async inContext (kvm-dsm)'],
    ['/run/kvm-dsm/data/pkg/package.cjs:1:2', 'kvm-dsm'],
    ['new Decoder (/x/pkg/iced_x86.code.cjs:1:2)', 'new Decoder (kvm-dsm)'],
    ['run (examples/handled.ts:3:4)', 'run (examples/handled.ts:3:4)'],
    ['mine (/home/ada/pkg/package.json.ts:1:2)', 'mine (/home/ada/pkg/package.json.ts:1:2)'],
  ] as const;
  for (const [frame, shown] of frames) assert.equal(withoutInside(frame), shown);
});
