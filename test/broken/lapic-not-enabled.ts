// Nobody has enabled vCPU 1's local APIC, so that it takes no IPI.
import { asm, enableApic, ipiAndWait, machine, sync } from 'kvm-dsm';

await using m = await machine({ vcpus: 2 });

m.vcpu(0).program(asm.flat32`
    ${enableApic()}
    ${ipiAndWait({ to: 1, vector: 0xf0 }, m.vcpu(1).counterAddress(0xf0))}
    ${sync('delivered')}
    hlt
`);
m.vcpu(1).program(asm.flat32`
  .idle:
    hlt
    jmp .idle
`);

await m.run({ until: { sync: 'delivered' }, deadline: '2s' });
