// The guest loads an IDT of its own, and a wrong limit.
import { asm, done, machine } from 'kvm-dsm';

await using m = await machine();

m.vcpu(0).program(asm.flat32`
    lidt [idtr]
    mov eax, 0x33
  load:
    mov ds, eax            ; #GP: no such descriptor
    ${done()}
  idtr:
    dw 0
    dd 0x2000
`);

await m.run({ until: 'done', deadline: '5s' });
