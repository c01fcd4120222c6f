// vCPU 1's own handler writes no EOI, so that it gets the first IPI only.
import { asm, ipi, machine, sync, waitUntil } from 'kvm-dsm';

await using m = await machine({ vcpus: 2, apic: 'xapic' });
const count = m.shared;

m.vcpu(0).program(asm.flat32`
    ${ipi({ to: 1, vector: 0xf0 })}
    ${waitUntil(count, 1)}
    ${ipi({ to: 1, vector: 0xf0 })}
    ${waitUntil(count, 2)}
    ${sync('both')}
    hlt
`);
m.vcpu(1).program(
  asm.flat32`
  .idle:
    hlt
    jmp .idle
  handler:
    lock inc dword [${count}]
    iretd
`,
  { handlers: { 240: 'handler' } },
);

await m.run({ until: { sync: 'both' }, deadline: '3s' });
