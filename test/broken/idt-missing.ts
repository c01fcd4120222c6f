// vCPU 1 takes interrupts, but has no IDT.
import { asm, ipi, machine } from 'kvm-dsm';

await using m = await machine({ vcpus: 2, apic: 'xapic' });

m.vcpu(0).program(asm.flat32`
    ${ipi({ to: 1, vector: 0x41 })}
  .idle:
    hlt
    jmp .idle
`);
m.vcpu(1).program(
  asm.flat32`
  .idle:
    hlt
    jmp .idle
`,
  { idt: false },
);

await m.run({ until: 'halted', deadline: '5s' });
