import { flat32, machine, spin } from 'kvm-dsm';

await using m = await machine();
m.vcpu(0).program(flat32(spin));
await m.run({ until: { port: 0x10 }, deadline: '10m' });
