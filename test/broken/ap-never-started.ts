// vCPU 1 waits for INIT and SIPI, which vCPU 0 sends to APIC id 2.
import { asm, initSipiSipi, machine, sync } from 'kvm-dsm';

await using m = await machine({ vcpus: 3, apic: 'xapic' });

const ap = m.vcpu(1).program(
  asm.flat32`
    ${sync('up')}
    hlt
`,
  { start: 'sipi' },
);
m.vcpu(0).program(asm.flat32`
    ${initSipiSipi(2, ap.sipiVector)}
  .idle:
    hlt
    jmp .idle
`);

await m.run({ until: { sync: 'up', vcpu: 1 }, deadline: '2s' });
