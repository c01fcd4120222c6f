// Two machines share one guest, as in a distributed hypervisor. Each has every vCPU; the one that runs elsewhere is a
// replica. vCPU 0 runs on the first machine and sends an IPI to vCPU 1, which runs on the second: each forwarded write is
// replayed there on the replica of vCPU 0, and the second kernel finds the destination.

import assert from 'node:assert/strict';
import { asm, idle, ipi, machine, sync } from 'kvm-dsm';

await using first = await machine({ vcpus: 2, apic: 'xapic' });
await using second = await machine({ vcpus: 2, apic: 'xapic' });

first.vcpu(0).program(asm.flat32`
    ${ipi({ to: 1, vector: 0x70 })}
    ${ipi({ to: 'others', vector: 0x71 })}
    ${sync('sent')}`);
second.vcpu(1).program(asm.flat32`${idle()}`);

const trace = await first.run({ until: { sync: 'sent' }, deadline: '30s' });
trace.expect([
  { name: 'KVM_EXIT_DSM_SEND_IRQ', id: 0, register: 'ICR2', destId: 1 },
  { name: 'KVM_EXIT_DSM_SEND_IRQ', id: 0, register: 'ICR', icr: { vector: 0x70 } },
  { name: 'KVM_EXIT_DSM_SEND_IRQ', id: 0, register: 'ICR', icr: { vector: 0x71, shorthand: 'allExcludingSelf' } },
]);

for (const { exit } of trace.named('KVM_EXIT_DSM_SEND_IRQ')) second.dsmIpi({ ...exit, vcpuId: exit.id });
await second.run({ deadline: '30s' });

const once = new Map([0x70, 0x71].map((vector) => [vector, 1]));
assert.deepEqual(second.vcpu(1).interrupts, once);
second.trace.expectNone('KVM_EXIT_DSM_SEND_IRQ');
