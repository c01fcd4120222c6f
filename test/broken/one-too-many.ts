// The guest sends three IPIs, and the script expects two.
import { asm, icr, machine, repeat, sync } from 'kvm-dsm';

await using m = await machine({ apic: 'xapic' });

m.vcpu(0).program(asm.flat32`
    ${repeat(3, icr({ vector: 0x60, shorthand: 'self' }))}
    ${sync('sent')}
    hlt
`);

const trace = await m.run({ until: { sync: 'sent' }, deadline: '10s' });
const self = { name: 'KVM_EXIT_DSM_SEND_IRQ', register: 'ICR', icr: { vector: 0x60, shorthand: 'self' } } as const;
trace.expect([self, self]);
