// Exit 46 is to x2APIC mode what exit 45 is to xAPIC mode. The series reserves its number; the lab kernel's extension makes
// it, for the machines that are made while it is on. Each write is replayed on a second machine by KVM_DSM_X2APIC.

import assert from 'node:assert/strict';
import { asm, enableReservedExits, idle, ipi, machine, sync } from 'kvm-dsm';

using on = enableReservedExits(['KVM_EXIT_DSM_X2_ICR']);
await using first = await machine({ vcpus: 2, apic: 'x2apic' });
on[Symbol.dispose]();
await using second = await machine({ vcpus: 2, apic: 'x2apic' });

first.vcpu(0).program(asm.long64`
    ${ipi({ to: 1, vector: 0x70, x2apic: true })}
    ${ipi({ to: 0b10, destinationMode: 'logical', vector: 0x71, x2apic: true })}
    ${sync('sent')}`);
second.vcpu(1).program(asm.long64`${idle()}`);

const trace = await first.run({ until: { sync: 'sent' }, deadline: '30s' });
trace.expect([
  { name: 'KVM_EXIT_DSM_X2_ICR', id: 0, data: 0x1_0000_4070n, icr: { vector: 0x70, destination: 1 } },
  { name: 'KVM_EXIT_DSM_X2_ICR', id: 0, data: 0x2_0000_4871n, icr: { vector: 0x71, destinationMode: 'logical' } },
]);

for (const { exit } of trace.named('KVM_EXIT_DSM_X2_ICR')) second.dsmX2apic({ ...exit, vcpuId: exit.id });
await second.run({ deadline: '30s' });
const once = new Map([0x70, 0x71].map((vector) => [vector, 1]));
assert.deepEqual(second.vcpu(1).interrupts, once);
