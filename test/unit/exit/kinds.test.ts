/** What is known of exits by their number or name alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rfcV2 } from '../../../lib/abi/dsm/rfc-v2.ts';
import { exitReasons } from '../../../lib/abi/kvm/exit-reason.ts';
import { decodeExit } from '../../../lib/exit/decode.ts';
import { forwardsIpi, isDsmExit, isIcrWriteName } from '../../../lib/exit/dsm.ts';
import { goesOnByItself } from '../../../lib/exit/kinds.ts';
import { page } from './exit-page.ts';

test('the guest goes on by itself after every exit but these', () => {
  const waits = Object.entries(exitReasons).flatMap(([name, reason]) => (goesOnByItself(reason, rfcV2) ? [] : [name]));
  assert.deepEqual(waits, [
    'KVM_EXIT_UNKNOWN',
    'KVM_EXIT_HYPERCALL',
    'KVM_EXIT_SHUTDOWN',
    'KVM_EXIT_FAIL_ENTRY',
    'KVM_EXIT_SET_TPR',
    'KVM_EXIT_INTERNAL_ERROR',
    'KVM_EXIT_X86_RDMSR',
    'KVM_EXIT_XEN',
    'KVM_EXIT_MEMORY_FAULT',
    'KVM_EXIT_TDX',
    'KVM_EXIT_SNP_REQ_CERTS',
  ]);
  for (const reason of [44, 45, 46, 47, 99]) assert.equal(goesOnByItself(reason, rfcV2), true);
});

test("a profile's number counts as the profile's exit", () => {
  const { KVM_EXIT_DSM_SEND_IRQ } = rfcV2.exits;
  const moved = {
    ...rfcV2,
    exits: { ...rfcV2.exits, KVM_EXIT_DSM_SEND_IRQ: { ...KVM_EXIT_DSM_SEND_IRQ, reason: 40 } },
  };
  assert.equal(goesOnByItself(40, moved), true);
  assert.equal(goesOnByItself(40, rfcV2), false);
});

test('a forwarded ICR write is a write of ICR, of ICR2, or of the x2APIC’s ICR', () => {
  const write = (register: number) => decodeExit(page(45, new Uint8Array(Uint32Array.of(0, register, 0, 0).buffer)));
  const asked = [
    write(0x300),
    write(0x310),
    write(0x80),
    ...[44, 46, 47, 5, 99].map((reason) => decodeExit(page(reason))),
  ];
  assert.deepEqual(asked.map(forwardsIpi), [true, true, false, false, true, false, false, false]);
  assert.deepEqual(asked.map(isDsmExit), [true, true, true, true, true, true, false, false]);
});

test('the names that an expectation may have for one', () => {
  const names = ['KVM_EXIT_DSM_SEND_IRQ', 'KVM_EXIT_DSM_X2_ICR', 'KVM_EXIT_DSM_APIC_BASE', 'KVM_EXIT_DAPIC', 45];
  assert.deepEqual(names.map(isIcrWriteName), [true, true, false, false, false]);
});
