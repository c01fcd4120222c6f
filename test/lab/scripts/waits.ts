// One exit, and then it waits until somebody ends it.
import { flat32, machine, out8 } from 'kvm-dsm';

await using m = await machine({ vcpus: 1 });
m.vcpu(0).program(flat32(out8(0x10)));
await m.run({ until: { port: 0x10 } });
await new Promise((resolve) => setTimeout(resolve, 600_000));
