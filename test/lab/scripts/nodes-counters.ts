// Many interrupts between the vCPUs of nodes, of all kinds, as a seed says; each handler's counter has to be what was sent to it.
// Arguments: how many interrupts, vCPUs, nodes (1: none; by `kvm-dsm node` they are its own), the seed, and what joins them.
// With "storm" at the end the wall clock is set meanwhile, of one lab machine to tomorrow and of the other to yesterday, and
// vCPU 0 sends to the last one without an end after that.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { asm, enableApic, idle, ipi, machine } from 'kvm-dsm';
import { encodeIcr, encodeIcr2, type IcrFields } from 'kvm-dsm/abi';

const [most, count, over, seed] = process.argv.slice(2, 6).map(Number) as [number, number, number, number];
const [transport = 'memory', storm] = process.argv.slice(6);
const ids = Array.from({ length: count }, (_, id) => id);
const nodes = Array.from({ length: over }, (_, node) => ({ vcpus: ids.filter((id) => id % over === node) }));
await using m = await machine({
  ...(over === 1 ? { vcpus: count } : { nodes, transport }),
  memory: 4 << 20,
  apic: 'xapic',
});

let state = seed;
/** A whole number below `limit`: mulberry32. */
function below(limit: number): number {
  state = (state + 0x6d2b79f5) | 0;
  let bits = Math.imul(state ^ (state >>> 15), state | 1);
  bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
  return ((bits ^ (bits >>> 14)) >>> 0) % limit;
}

const NO_ICR2 = 0xffff_ffff;
const FIRST = 0x20;
const NMI = 2;
const ROOM = 0x8000;
/** By vCPU: its pairs of ICR2 and ICR of one run. */
let writes: number[][] = [];
/** By vCPU and vector; of lowest priority by vector alone. */
const wanted = ids.map(() => new Map<number, number>());
let sent = 0;
let lowest = 0;

function send(from: number, icr2: number, fields: IcrFields, to: readonly number[]): void {
  writes[from]!.push(icr2, encodeIcr(fields));
  sent += 1;
  const vector = fields.deliveryMode === 'nmi' ? NMI : fields.vector!;
  for (const id of to) wanted[id]!.set(vector, (wanted[id]!.get(vector) ?? 0) + 1);
}

const physical = (id: number) => encodeIcr2({ destination: id });
const mask = (of: readonly number[]) => encodeIcr2({ destination: of.reduce((bits, id) => bits | (1 << id), 0) });
const logical = { destinationMode: 'logical' } as const;

/** One vector, so that no vCPU gets it twice in a run: two that wait at once are one. */
function plan(vector: number): void {
  const from = below(count);
  const some = ids.filter(() => below(2) === 1);
  const kind = below(6);
  if (kind === 0) send(from, NO_ICR2, { vector, shorthand: 'allIncludingSelf' }, ids);
  else if (kind === 1)
    send(
      from,
      NO_ICR2,
      { vector, shorthand: 'allExcludingSelf' },
      ids.filter((id) => id !== from),
    );
  else if (kind === 2) send(from, mask(some), { vector, ...logical }, some);
  else if (kind === 3 && some.length > 0) {
    send(from, mask(some), { vector, ...logical, deliveryMode: 'lowestPriority' }, []);
    lowest += 1;
  } else
    for (const to of ids) {
      const source = below(count);
      if (source === to) send(source, NO_ICR2, { vector, shorthand: 'self' }, [to]);
      else send(source, physical(to), { vector }, [to]);
    }
}

function setClock(days: number): void {
  const before = Date.now();
  // Nowhere but in a machine of the lab.
  assert.ok(process.env.KVM_DSM_LANE);
  execFileSync('busybox', ['date', '-s', `@${Math.round(before / 1000) + days * 86_400}`]);
  assert.ok(Math.abs(Date.now() - before) > 80_000_000);
}

const table = (id: number) => m.shared + id * ROOM;
for (const id of ids) m.vcpu(id).vcpu.setLapicRegisters({ DFR: 0xffff_ffff, LDR: 1 << (24 + id) });
const programs = ids.map(
  (id) => asm.flat32`
    ${enableApic()}
    mov esi, ${table(id)}
    mov ecx, [esi]
    test ecx, ecx
    jz over
    next:
    mov eax, [esi+4]
    cmp eax, -1
    je single
    mov [0xfee00310], eax
    single:
    mov eax, [esi+8]
    mov [0xfee00300], eax
    add esi, 8
    dec ecx
    jnz next
    over:
    ${idle()}`,
);
const began = performance.now();
let runs = 0;
for (; sent < most; runs++) {
  writes = ids.map(() => []);
  for (let vector = FIRST; vector < 256 && sent < most; vector++) plan(vector);
  for (const to of ids) send(below(count), physical(to), { vector: 0, deliveryMode: 'nmi' }, [to]);
  for (const id of ids) {
    m.memory.write(table(id), new Uint8Array(Uint32Array.from([writes[id]!.length / 2, ...writes[id]!]).buffer));
    m.vcpu(id).program(programs[id]!);
  }
  const running = m.run({ deadline: '120s' });
  if (storm === 'storm' && runs === 0) setClock(m.vcpu(0).runsHere ? 1 : -1);
  await running;
}
const seconds = (performance.now() - began) / 1000;

/** How often more than was sent to it alone: those of lowest priority. */
let taken = 0;
for (const id of ids) {
  if (!m.vcpu(id).runsHere) continue;
  const counted = m.vcpu(id).interrupts;
  for (let vector = 0; vector < 256; vector++) {
    const more = (counted.get(vector) ?? 0) - (wanted[id]!.get(vector) ?? 0);
    assert.ok(more >= 0, `vCPU ${id} lacks ${-more} of vector ${vector}`);
    taken += more;
  }
}
const complete = ids.every((id) => m.vcpu(id).runsHere);
if (complete) assert.equal(taken, lowest, 'each of lowest priority was taken once');
const resent = m.nodes.reduce((sum, node) => sum + node.resent, 0);
console.log(JSON.stringify({ sent, lowest, taken, runs, resent, seconds: Number(seconds.toFixed(1)) }));

if (storm === 'storm') {
  console.log('storm');
  m.vcpu(0).program(asm.flat32`
    again:
    ${ipi({ to: count - 1, vector: 0x40 })}
    mov ecx, 2000000
    pause_:
    dec ecx
    jnz pause_
    jmp again`);
  await m.run({ until: { port: 0x77 }, deadline: '60s' });
}
