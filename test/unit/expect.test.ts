import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeIcr, type Exit, ExpectationError, Trace } from '../../lib/index.ts';

function write(seq: number, val: number, val2: number): Exit {
  const icr = val === 0x300 ? { icr: decodeIcr(val2) } : {};
  const register = val === 0x300 ? 'ICR' : 'ICR2';
  return {
    name: 'KVM_EXIT_DSM_SEND_IRQ',
    reason: 45,
    id: 0,
    val,
    val2,
    destId: seq,
    register,
    ...icr,
  } as unknown as Exit;
}

function traceOf(...exits: Exit[]): Trace {
  const trace = new Trace();
  exits.forEach((exit, seq) => {
    trace.record({ seq, ns: seq * 10, vcpu: 0, rip: BigInt(0x1000 + seq), exit });
  });
  return trace;
}

const hlt = { name: 'KVM_EXIT_HLT', reason: 5 } as Exit;
const trace = traceOf(write(0, 0x310, 0), hlt, write(2, 0x300, 0x40f0));

function failure(check: () => void): ExpectationError {
  try {
    check();
  } catch (error) {
    assert.ok(error instanceof ExpectationError);
    assert.equal(error.code, 'ERR_EXPECTATION');
    return error;
  }
  return assert.fail('nothing was thrown');
}

test('exits of the named kinds, in order; others may lie between them', () => {
  trace.expect([
    { name: 'KVM_EXIT_DSM_SEND_IRQ', register: 'ICR2', rip: 0x1000n },
    { name: 'KVM_EXIT_DSM_SEND_IRQ', register: 'ICR', icr: { vector: 0xf0, trigger: 'edge' }, vcpu: 0 },
  ]);
  trace.expect([{ name: 'KVM_EXIT_HLT' }]);
  trace.expectNone('KVM_EXIT_SHUTDOWN');
});

test('one that is missing', () => {
  const want = { name: 'KVM_EXIT_DSM_SEND_IRQ' } as const;
  const error = failure(() => trace.expect([want, want, { ...want, destId: 7 }]));
  assert.match(error.message, /^expected 3 exits, got 2: KVM_EXIT_DSM_SEND_IRQ, destId 7 is missing/);
});

test('one too many', () => {
  const error = failure(() => trace.expect([{ name: 'KVM_EXIT_DSM_SEND_IRQ' }]));
  assert.match(error.message, /^expected 1 exit, got 2/);
  assert.match(error.message, /! #2 vCPU 0 rip 0x1002/);
});

test('the wrong order, the wrong field, the wrong field of the register', () => {
  const [icr2, icr] = [
    { name: 'KVM_EXIT_DSM_SEND_IRQ', register: 'ICR2' } as const,
    { name: 'KVM_EXIT_DSM_SEND_IRQ', register: 'ICR', icr: { vector: 0x41 } } as const,
  ];
  assert.match(failure(() => trace.expect([icr, icr2])).message, /^exit 1 of 2 differs: register is "ICR2"/);
  assert.match(
    failure(() => trace.expect([icr2, icr])).message,
    /^exit 2 of 2 differs: icr is .*"vector":240.*expected .*65/,
  );
  assert.match(failure(() => trace.expect([{ ...icr2, vcpu: 1 }, icr2])).message, /vcpu is 0, expected 1/);
});

test('one that should not have come', () => {
  const error = failure(() => trace.expectNone('KVM_EXIT_HLT'));
  assert.deepEqual([error.kinds, error.seen], [['KVM_EXIT_HLT'], 1]);
});
