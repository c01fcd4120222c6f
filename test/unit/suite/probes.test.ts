/** What is asked before any check: one that fails costs what it would have found out, and nothing else. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rfcV2 } from '../../../lib/abi/dsm/rfc-v2.ts';
import { baseInjection, forwarding, ipiInjection, stockKernel, x2apicInjection } from '../../../lib/suite/kit/needs.ts';
import { type Facts, unknownFacts } from '../../../lib/suite/run/facts.ts';
import { Prober } from '../../../lib/suite/run/probes.ts';

const missing = (change: Partial<Facts>) => {
  const facts = { ...unknownFacts('svm', '/dev/kvm', 'rfc-v2'), ...change };
  const world = { facts, profile: rfcV2, capability: () => 0 };
  return [ipiInjection, x2apicInjection, baseInjection, forwarding, stockKernel].map((need) => need.missing(world));
};

test('a probe that throws is noted by its first line, and the next one is asked', () => {
  const begun: string[] = [];
  const prober = new Prober({ begin: (name) => begun.push(name) });
  const refuse = (): boolean => {
    throw new Error('EPERM\nmore');
  };
  assert.equal(prober.ask('ipi', refuse, false), false);
  assert.equal(
    prober.ask('base', () => true, false),
    true,
  );
  assert.deepEqual(begun, ['ipi', 'base']);
  assert.deepEqual(prober.failed, { ipi: 'Error: EPERM' });
});

test('one that failed before is not asked again', () => {
  const prober = new Prober({ failed: { forwarding: 'it hung' } });
  assert.equal(
    prober.ask('forwarding', () => assert.fail('asked'), false),
    false,
  );
});

test('each ioctl is needed by itself', () => {
  const [ipi, x2apic, base] = missing({ injects: { ipi: true, x2apic: false, base: true } });
  assert.deepEqual([ipi, base], [null, null]);
  assert.match(x2apic!, /KVM_DSM_X2APIC is not known to it/);
});

test('what was not found out is neither there nor missing: who needs it, or needs it away, is told why', () => {
  const [ipi, , , forwards, stock] = missing({ failedProbes: { ipi: 'it hung', forwarding: 'signal SIGKILL' } });
  assert.match(ipi!, /not found out whether this kernel knows KVM_DSM_IPI: it hung/);
  assert.match(forwards!, /not found out whether this kernel forwards ICR writes: signal SIGKILL/);
  assert.equal(stock, forwards);
});
