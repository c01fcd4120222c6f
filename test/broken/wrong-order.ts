// The guest writes ICR2 before ICR, and the script expects it the other way round.
import { asm, ipi, machine, sync } from 'kvm-dsm';

await using m = await machine({ vcpus: 2, apic: 'xapic' });

m.vcpu(0).program(asm.flat32`
    ${ipi({ to: 1, vector: 0x52 })}
    ${sync('sent')}
    hlt
`);

const trace = await m.run({ until: { sync: 'sent' }, deadline: '10s' });
trace.expect([
  { name: 'KVM_EXIT_DSM_SEND_IRQ', register: 'ICR', icr: { vector: 0x52 } },
  { name: 'KVM_EXIT_DSM_SEND_IRQ', register: 'ICR2', destId: 1 },
]);
