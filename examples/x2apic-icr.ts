// x2APIC mode: the ICR is an MSR of 64 bits, and WRMSR does not come by the code that the patch series hooks. The IPI
// arrives on this host, and nothing is forwarded: what a distributed hypervisor would lose.

import assert from 'node:assert/strict';
import { asm, idle, ipi, machine, sync, waitUntil } from 'kvm-dsm';

await using m = await machine({ vcpus: 2, apic: 'x2apic' });

m.vcpu(1).program(asm.long64`${idle()}`);
m.vcpu(0).program(asm.long64`
    ${ipi({ to: 1, vector: 0x70, x2apic: true })}
    ${waitUntil(m.vcpu(1).counterAddress(0x70), 1)}
    ${sync('it arrived')}`);

const trace = await m.run({ until: { sync: 'it arrived' }, deadline: '30s' });

assert.deepEqual([...m.vcpu(1).interrupts], [[0x70, 1]]);
trace.expectNone('KVM_EXIT_DSM_SEND_IRQ');
