// Exit 44: every access to the APIC page but the ICR writes, which have exit 45. The series reserves the number; the lab
// kernel's extension makes the exit, with the vCPU and the offset that an ancestor of the series told.

import { asm, enableReservedExits, icr2, machine, readApic, sync, writeApic } from 'kvm-dsm';

using on = enableReservedExits(['KVM_EXIT_DAPIC']);
await using m = await machine({ vcpus: 2, apic: 'xapic' });
on[Symbol.dispose]();

m.vcpu(1).program(asm.flat32`
    ${readApic('VERSION')}
    ${writeApic('LDR', 0x0200_0000)}
    ${icr2(0)}
    ${writeApic('EOI', 0)}
    ${sync('done')}`);

const trace = await m.run({ until: { sync: 'done' }, deadline: '30s' });

trace.expect([
  { name: 'KVM_EXIT_DAPIC', localCpuid: 1, offset: 0x30 },
  { name: 'KVM_EXIT_DAPIC', localCpuid: 1, offset: 0xd0 },
  { name: 'KVM_EXIT_DSM_SEND_IRQ', id: 1, register: 'ICR2' },
  { name: 'KVM_EXIT_DAPIC', localCpuid: 1, offset: 0xb0 },
]);
