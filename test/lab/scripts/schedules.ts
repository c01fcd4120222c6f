/** Two vCPUs each add one to a word: 18 of 20 schedules lose an update. Another word behind -- asks for something else. */
import { asm, done, ipi, machine } from 'kvm-dsm';

const [what = 'lost'] = process.argv.slice(2);
await using m = await machine({ vcpus: 2, apic: 'xapic' });
const add = asm.flat32`
    mov eax, [${m.shared}]
    inc eax
    mov [${m.shared}], eax
    ${done()}`;
const rings = (to: number) => asm.flat32`${ipi({ to, vector: 0x40 })}${done()}`;

if (what === 'lost')
  await m.explore([add, add], () => m.memory.view.getUint32(m.shared, true) === 2 || 'one update is lost');
if (what === 'random') {
  const { digest, schedules, seed } = await m.explore([rings(1), rings(0)], () => true, { schedules: { random: 5 } });
  console.log(JSON.stringify({ digest, schedules, seed }));
}
