/** Registers that are read in full: by the same layout. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kvmRegs, readRegs } from '../../../lib/abi/kvm/regs.ts';

test('readRegs reads what the layout of struct kvm_regs does, in its order', () => {
  const bytes = Uint8Array.from({ length: kvmRegs.size }, (_, at) => (at * 37 + 11) & 0xff);
  const view = new DataView(bytes.buffer);
  assert.deepEqual(Object.entries(readRegs(view)), Object.entries(kvmRegs.read(view)));
});
