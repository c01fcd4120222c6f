import { flat32, hlt, machine, out8Value } from 'kvm-dsm';
import { port } from './neighbour.ts';

await using m = await machine();
m.vcpu(0).program(flat32(out8Value(port, 0x2a), hlt));
const trace = await m.run();
trace.expect([{ name: 'KVM_EXIT_IO', port, direction: 'out' }]);
if (process.argv[2] !== undefined) console.error(`argument ${process.argv.slice(2).join(' ')}`);
