// A shorthand: one write of ICR sends to every vCPU but the one that writes. There is no write of ICR2, and dest_id is
// whatever ICR2 held before: a forwarder must look at the shorthand first.

import { asm, idle, ipi, machine, sync, waitUntil } from 'kvm-dsm';

await using m = await machine({ vcpus: 4, apic: 'xapic' });

const others = m.vcpus.slice(1);
for (const vcpu of others) vcpu.program(asm.flat32`${idle()}`);
m.vcpu(0).program(asm.flat32`
    ${ipi({ to: 'others', vector: 0x60 })}
    ${waitUntil(m.vcpu(1).counterAddress(0x60), 1)}
    ${waitUntil(m.vcpu(2).counterAddress(0x60), 1)}
    ${waitUntil(m.vcpu(3).counterAddress(0x60), 1)}
    ${sync('all have it')}`);

const trace = await m.run({ until: { sync: 'all have it' }, deadline: '30s' });

trace.expect([
  { name: 'KVM_EXIT_DSM_SEND_IRQ', id: 0, register: 'ICR', icr: { shorthand: 'allExcludingSelf', vector: 0x60 } },
]);
m.expectExactlyOnce();
