// Asserts by itself what only a kernel of the series can make true.
import assert from 'node:assert/strict';
import { asm, done, ipi, machine } from 'kvm-dsm';

await using m = await machine({ vcpus: 2, apic: 'xapic' });
m.vcpu(0).program(asm.long64`
    ${ipi({ to: 1, vector: 0xf0 })}
    ${done()}`);
const trace = await m.run({ until: 'done' });
assert.equal(trace.named('KVM_EXIT_DSM_SEND_IRQ').length, 2);
