/** Every entry of the package, imported by a script: each has the very classes that `kvm-dsm` has. */
import { Kvm, machine } from 'kvm-dsm';
import { decodeIcr } from 'kvm-dsm/abi';
import { flat32, out8 } from 'kvm-dsm/guest';
import { Kvm as KvmOfKvm } from 'kvm-dsm/kvm';
import { labFunction, runInLab } from 'kvm-dsm/lab';
import { DONE_PORT, subject } from 'kvm-dsm/suite';
import { describeEvent } from 'kvm-dsm/trace';

if (Kvm !== KvmOfKvm) throw new Error('there are two of Kvm');
if (decodeIcr(0x40f0).vector !== 0xf0) throw new Error('abi');
if (typeof labFunction !== 'function' || typeof runInLab !== 'function' || typeof subject !== 'function')
  throw new Error('lab or suite');

await using m = await machine();
if (!(m.kvm instanceof KvmOfKvm)) throw new Error('a machine of another copy');
m.vcpu(0).program(flat32(out8(DONE_PORT)));
const [exit] = await m.run({ until: { port: DONE_PORT } });
if (!/KVM_EXIT_IO/.test(describeEvent(exit!))) throw new Error('trace');
