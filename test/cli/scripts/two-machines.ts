// Two machines, whose exits come by turns.
import { flat32, hlt, machine, out8 } from 'kvm-dsm';

await using first = await machine();
await using second = await machine();
first.vcpu(0).program(flat32(out8(0x41), hlt, out8(0x43), hlt));
second.vcpu(0).program(flat32(out8(0x42), hlt));
await first.run({ until: { port: 0x41 } });
await second.run({ until: { port: 0x42 } });
second.signalMsi({ addressLo: 0xfee0_0000, data: 0x40 });
