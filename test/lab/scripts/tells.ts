// Exits of each way to the host: stored by the addon, looked at, messages and acts, with names of its own; then what they are.
import { asm, machine, sync } from 'kvm-dsm';
import { describeEvent } from 'kvm-dsm/trace';

const machines = [await machine({ vcpus: 2 }), await machine({ vcpus: 1 })];
for (const m of machines) {
  m.vcpu(0).program(asm.flat32`
    mov ecx, 400
  again:
    mov dword [0xfee00310], 0x01000000
    mov dword [0xfee00300], 0x000040f0
    dec ecx
    jnz again
    ${sync('über the wire')}
    in al, 0x71
    out 0x10, al
  `);
  m.onPortRead(0x71, () => 7);
  await m.run({ until: { port: 0x10 }, deadline: '200s' });
  m.signalMsi({ addressLo: 0xfee00000, addressHi: 0, data: 0x41 });
}
for (const m of machines) for (const event of m.trace.events) console.log(`own ${describeEvent(event)}`);
for (const m of machines) m.close();
