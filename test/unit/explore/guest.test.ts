import assert from 'node:assert/strict';
import { test } from 'node:test';
import { residentCode } from '../../../lib/explore/guest.ts';
import { asm } from '../../../lib/index.ts';

for (const [name, { hex, text }] of Object.entries(residentCode))
  test(`${name}: the machine code is what its text says`, () => {
    assert.equal(Buffer.from(asm.long64(text).bytes).toString('hex'), hex.replaceAll(/\s/g, ''));
  });
