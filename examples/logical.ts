// Logical destinations: each vCPU sets a bit of its own as its logical id; one ICR write then reaches any set of them.
// The forwarded dest_id is that set, and only together with the destination mode does it mean something.

import { asm, idle, increment, ipi, logicalFlat, machine, sync, waitUntil } from 'kvm-dsm';

await using m = await machine({ vcpus: 4, apic: 'xapic' });

for (const { id } of m.vcpus.slice(1))
  m.vcpu(id).program(asm.flat32`
    ${logicalFlat(1 << id)}
    ${increment(m.shared)}
    ${idle()}`);

const counter = (id: number) => m.vcpu(id).counterAddress(0x50);
m.vcpu(0).program(asm.flat32`
    ${logicalFlat(1 << 0)}
    ${waitUntil(m.shared, 3)}           ; all have set theirs
    ${ipi({ to: 0b1010, vector: 0x50, destinationMode: 'logical' })}
    ${waitUntil(counter(1), 1)}
    ${waitUntil(counter(3), 1)}
    ${sync('both have it')}`);

const trace = await m.run({ until: { sync: 'both have it' }, deadline: '30s' });

trace.expect([
  { name: 'KVM_EXIT_DSM_SEND_IRQ', register: 'ICR2', destId: 0b1010 },
  { name: 'KVM_EXIT_DSM_SEND_IRQ', register: 'ICR', destId: 0b1010, icr: { destinationMode: 'logical', vector: 0x50 } },
]);
m.expectExactlyOnce();
