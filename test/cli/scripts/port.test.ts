import { equal } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { flat32, hlt, machine, out8 } from 'kvm-dsm';

// vitest gives its own `test` (with globals); everything else gives node's.
const test: typeof import('node:test') = (globalThis as { test?: never }).test ?? (await import('node:test')).test;

async function run(port: number) {
  const m = await machine();
  try {
    m.vcpu(0).program(flat32(out8(port), hlt));
    return await m.run();
  } finally {
    m.close();
  }
}

test('a guest writes to a port', async () => {
  (await run(0x42)).expect([{ name: 'KVM_EXIT_IO', port: 0x42 }]);
});

test('a file beside the script is there', () => {
  equal(readFileSync(new URL('./throws.ts', import.meta.url)).length > 0, true);
});

test('what is expected did not come', {
  skip: process.env.FAIL !== '1' && !process.argv.includes('fail'),
}, async () => {
  (await run(0x42)).expect([{ name: 'KVM_EXIT_IO', port: 0x43 }]);
});
