import assert from 'node:assert/strict';
import { asm, machine, sync, tell } from 'kvm-dsm';

await using m = await machine({ apic: 'xapic' });
m.vcpu(0).program(
  asm.flat32`
    ${sync('ready')}
    mov edx, 5
    ${tell('five', 'edx')}
    sti
    hlt`,
);
await m.run({ until: { sync: 'ready' } });
m.signalMsi({ addressLo: 0xfee0_0000, data: 0x40 });
await m.run();
assert.equal(m.vcpu(0).interrupts.get(0x40), 1);
