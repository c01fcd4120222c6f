/** The guest's TSC is what KVM says that it is: a deadline of the local APIC's timer, and paravirtual clocks, are reckoned by it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asm, machine } from '../../lib/index.ts';
import { noKvm } from '../support/host.ts';

const IA32_TSC = 0x10;

test('RDTSC in a guest lies between what KVM says before and after it', { skip: noKvm }, async () => {
  await using m = await machine({ apic: 'xapic' });
  const { vcpu } = m.vcpu(0);
  m.vcpu(0).program(asm.long64`
    rdtsc
    shl rdx, 32
    or rax, rdx
    out 0x10, al`);
  const before = vcpu.getMsr(IA32_TSC);
  assert.equal(vcpu.run().name, 'KVM_EXIT_IO');
  const { rax } = vcpu.getRegs();
  const after = vcpu.getMsr(IA32_TSC);
  assert.ok(before < rax && rax < after, `${before}, ${rax}, ${after}`);
});
