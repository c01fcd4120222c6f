// It prints between its exits.
import { flat32, machine, out8 } from 'kvm-dsm';

await using m = await machine({ vcpus: 1 });
for (const word of ['one', 'two']) {
  m.vcpu(0).program(flat32(out8(0x10)));
  await m.run({ until: { port: 0x10 } });
  console.log(word);
}
