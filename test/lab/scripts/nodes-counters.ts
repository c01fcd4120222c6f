// Many interrupts between the vCPUs of nodes, of all kinds, as a seed says; each handler's counter has to be what was sent to it, and each vCPU has to have
// started as often as it was told to.
// Arguments: how many interrupts, vCPUs, nodes (1: none; by `kvm-dsm node` they are its own), the seed, and what joins them. Then in any order:
// - x2apic: some machines are in x2APIC mode, for a kernel that tells of that (kvm.dsm_exit_x2_icr=1, or fixed-v1); pv: some are sent by KVM_HC_SEND_IPI
//   (fixed-v1);
// - each=<n>: so many interrupts at most to a machine, and then the next one: a machine keeps what happened to it;
// - tell: each run says how many have been sent by then;
// - storm: the wall clock is set meanwhile, of one lab machine to tomorrow and of the other to yesterday, and after that vCPU 0 sends to the last one without an end.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { asm, enableApic, idle, ipi, type Machine, machine } from 'kvm-dsm';
import { encodeIcr, encodeIcr2, type IcrFields, mpStates } from 'kvm-dsm/abi';

const [most, count, over, seed] = process.argv.slice(2, 6).map(Number) as [number, number, number, number];
const [transport = 'memory', ...words] = process.argv.slice(6);
const storm = words.includes('storm');
const each = Number(words.find((word) => word.startsWith('each='))?.slice(5) ?? 20_000);
const tells = words.includes('tell');
const known = /^(?:storm|tell|x2apic|pv|each=\d+)$/;
for (const word of words) assert.match(word, known, 'a word that there is not');
const hasPv = words.includes('pv');
/** Of the xAPIC, flat and in clusters of two; and of the x2APIC, whose logical ids are KVM's. */
const modes = ['flat', 'cluster', ...(words.includes('x2apic') ? ['x2apic' as const] : [])] as const;

const ids = Array.from({ length: count }, (_, id) => id);
const nodes = Array.from({ length: over }, (_, node) => ({ vcpus: ids.filter((id) => id % over === node) }));

let state = seed;
/** A whole number below `limit`: mulberry32. */
function below(limit: number): number {
  state = (state + 0x6d2b79f5) | 0;
  let bits = Math.imul(state ^ (state >>> 15), state | 1);
  bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
  return ((bits ^ (bits >>> 14)) >>> 0) % limit;
}
const oneOf = <T>(list: readonly T[]): T => list[below(list.length)]!;

/** How an interrupt is sent: words of a table, in which the guest finds this first. */
const ways = { icr: 0, icr2: 1, msr: 2, hypercall: 3 } as const;
const WORDS = 4;
const FIRST = 0x20;
const NMI = 2;
const ROOM = 0x8000;
/** A started vCPU tells with it that it runs; no other interrupt has it. */
const STARTED = 0xff;
/** So many times a vCPU is started, of each machine at the end. */
const STARTS = most < 1000 ? 2 : 8;
const BROADCAST = { xapic: 0xff, x2apic: 0xffff_ffff };

const totals = { sent: 0, lowest: 0, taken: 0, resent: 0, runs: 0, machines: 0 };
const kinds: Record<string, number> = {};

function setClock(days: number): void {
  const before = Date.now();
  // Nowhere but in a machine of the lab.
  assert.ok(process.env.KVM_DSM_LANE);
  execFileSync('busybox', ['date', '-s', `@${Math.round(before / 1000) + days * 86_400}`]);
  assert.ok(Math.abs(Date.now() - before) > 80_000_000);
}

class Counted {
  readonly #m: Machine;
  readonly #mode: (typeof modes)[number];
  /** By vCPU and vector; of lowest priority by vector alone. */
  readonly #wanted = ids.map(() => new Map<number, number>());
  /** By vCPU. */
  readonly #starts = ids.map(() => 0);
  /** By vCPU: what it sends in one run. */
  #writes: number[][] = [];
  /** By vCPU: it has the program that sends what its table says. */
  readonly #isLoaded = ids.map(() => false);
  #lowest = 0;
  sent = 0;

  constructor(m: Machine, mode: (typeof modes)[number]) {
    this.#m = m;
    this.#mode = mode;
    for (const id of ids) this.#setLogicalId(id);
  }

  get #isX2(): boolean {
    return this.#mode === 'x2apic';
  }

  #setLogicalId(id: number): void {
    if (this.#isX2 || !this.#m.vcpu(id).runsHere) return;
    const isFlat = this.#mode === 'flat';
    const logical = isFlat ? 1 << id : ((id >> 1) << 4) | (1 << (id & 1));
    this.#m.vcpu(id).vcpu.setLapicRegisters({ DFR: isFlat ? 0xffff_ffff : 0x0fff_ffff, LDR: (logical << 24) >>> 0 });
  }

  /** Some vCPUs that one logical destination can name, and that destination. */
  #some(): { readonly mask: number; readonly named: readonly number[] } {
    const first = this.#mode === 'cluster' ? below((count + 1) >> 1) * 2 : 0;
    const pool = this.#mode === 'cluster' ? ids.slice(first, first + 2) : ids;
    const named = pool.filter(() => below(2) === 1);
    const bits = named.reduce((all, id) => all | (1 << (id - first)), 0);
    return { mask: bits === 0 ? 0 : ((first >> 1) << 4) | bits, named };
  }

  /** @param destination `null`: the shorthand says it */
  #send(kind: string, from: number, destination: number | null, fields: IcrFields, to: readonly number[]): void {
    const low = encodeIcr(fields);
    if (this.#isX2) this.#writes[from]!.push(ways.msr, destination ?? 0, low, 0);
    else if (destination === null) this.#writes[from]!.push(ways.icr, 0, low, 0);
    else this.#writes[from]!.push(ways.icr2, encodeIcr2({ destination }), low, 0);
    this.#count(kind, fields.deliveryMode === 'nmi' ? NMI : fields.vector!, to);
  }

  #count(kind: string, vector: number, to: readonly number[]): void {
    this.sent += 1;
    kinds[kind] = (kinds[kind] ?? 0) + 1;
    for (const id of to) this.#wanted[id]!.set(vector, (this.#wanted[id]!.get(vector) ?? 0) + 1);
  }

  /** One vector, so that no vCPU gets it twice in a run: two that wait at once are one. */
  #plan(vector: number): void {
    const kind = below(hasPv ? 9 : 8);
    if (kind < this.#toMany.length) this.#toMany[kind]!(vector, below(count));
    else if (kind === 8) this.#hypercall(vector, below(count));
    else
      for (const to of ids) {
        const from = below(count);
        if (from === to) this.#send('self', from, null, { vector, shorthand: 'self' }, [to]);
        else this.#send('fixed', from, to, { vector }, [to]);
      }
  }

  readonly #toMany: readonly ((vector: number, from: number) => void)[] = [
    (vector, from) => this.#send('all', from, null, { vector, shorthand: 'allIncludingSelf' }, ids),
    (vector, from) => {
      const others = ids.filter((id) => id !== from);
      this.#send('others', from, null, { vector, shorthand: 'allExcludingSelf' }, others);
    },
    (vector, from) => this.#send('broadcast', from, BROADCAST[this.#isX2 ? 'x2apic' : 'xapic'], { vector }, ids),
    (vector, from) => {
      const { mask, named } = this.#some();
      this.#send(`logical ${this.#mode}`, from, mask, { vector, destinationMode: 'logical' }, named);
    },
    (vector, from) => {
      const { mask, named } = this.#some();
      if (named.length === 0) return;
      this.#lowest += 1;
      const fields = { vector, destinationMode: 'logical', deliveryMode: 'lowestPriority' } as const;
      this.#send('lowest priority', from, mask, fields, []);
    },
  ];

  /** KVM_HC_SEND_IPI: its bitmap counts from APIC id 0. */
  #hypercall(vector: number, from: number): void {
    const to = ids.filter(() => below(2) === 1);
    const bits = to.reduce((all, id) => all | (1 << id), 0);
    this.#writes[from]!.push(ways.hypercall, bits, vector, 0);
    this.#count('paravirtual', vector, to);
  }

  /** Many interrupts of all vCPUs at once. */
  async round(limit: number, meanwhile?: () => void): Promise<void> {
    const m = this.#m;
    this.#writes = ids.map(() => []);
    for (let vector = FIRST; vector < STARTED && this.sent < limit; vector++) this.#plan(vector);
    for (const to of ids) this.#send('NMI', below(count), to, { vector: 0, deliveryMode: 'nmi' }, [to]);
    for (const id of ids) {
      const table = this.#writes[id]!;
      m.memory.write(tableOf(m, id), new Uint8Array(Uint32Array.from([table.length / WORDS, ...table]).buffer));
      this.#begin(id);
    }
    const running = m.run({ deadline: '10m' });
    meanwhile?.();
    await running;
    totals.runs += 1;
  }

  #begin(id: number): void {
    const one = this.#m.vcpu(id);
    if (!this.#isLoaded[id]) one.program(sender(this.#m, id, this.#isX2));
    else if (one.runsHere) {
      // It sleeps in its last loop: program() would make all of its memory anew.
      one.vcpu.setRegs({ rip: BigInt(one.entry) });
      one.vcpu.setMpState(mpStates.KVM_MP_STATE_RUNNABLE);
    }
    this.#isLoaded[id] = true;
  }

  /** One vCPU, never the boot CPU, is started some times by another, which waits each time until it runs. */
  async starts(): Promise<void> {
    if (this.#isX2 || count < 2) return;
    const m = this.#m;
    const target = 1 + below(count - 1);
    const from = oneOf(ids.filter((id) => id !== target));
    const counter = startsOf(m, target);
    for (const id of ids) m.vcpu(id).program(asm.flat32`${idle()}`);
    m.vcpu(target).program(
      asm.flat32`
      lock inc dword [${counter}]
      ${enableApic()}
      ${ipi({ to: from, vector: STARTED })}
      ${idle()}`,
      { start: 'sipi' },
    );
    const told = m.vcpu(from).counterAddress(STARTED);
    m.vcpu(from).program(asm.flat32`
      ${enableApic()}
      mov esi, ${STARTS}
      next:
      mov edi, [${told}]
      ${ipi({ to: target, deliveryMode: 'init' })}
      ${ipi({ to: target, deliveryMode: 'startUp', vector: m.vcpu(target).sipiVector })}
      wait_:
      cli
      cmp [${told}], edi
      jne told_
      sti
      hlt
      jmp wait_
      told_:
      sti
      dec esi
      jnz next
      ${idle()}`);
    await m.run({ deadline: '10m' });
    totals.runs += 1;
    this.#starts[target]! += STARTS;
    kinds.INIT = (kinds.INIT ?? 0) + STARTS;
    kinds.SIPI = (kinds.SIPI ?? 0) + STARTS;
    this.sent += 2 * STARTS;
    for (let times = 0; times < STARTS; times++) this.#count('fixed', STARTED, [from]);
    this.#isLoaded.fill(false);
    // INIT has taken it away.
    this.#setLogicalId(target);
  }

  /** Everything is what was sent. */
  check(): void {
    const m = this.#m;
    /** How often more than was sent to it alone: those of lowest priority. */
    let taken = 0;
    for (const id of ids) {
      if (!m.vcpu(id).runsHere) continue;
      const counted = m.vcpu(id).interrupts;
      for (let vector = 0; vector < 256; vector++) {
        const more = (counted.get(vector) ?? 0) - (this.#wanted[id]!.get(vector) ?? 0);
        assert.ok(more >= 0, `${this.#mode}: vCPU ${id} lacks ${-more} of vector ${vector}`);
        taken += more;
      }
      assert.equal(wordAt(m, startsOf(m, id)), this.#starts[id], `how often vCPU ${id} has started`);
    }
    if (ids.every((id) => m.vcpu(id).runsHere))
      assert.equal(taken, this.#lowest, `${this.#mode}: each of lowest priority was taken once`);
    totals.sent += this.sent;
    totals.lowest += this.#lowest;
    totals.taken += taken;
    totals.resent += m.nodes.reduce((sum, { resent }) => sum + resent, 0);
    totals.machines += 1;
  }
}

const tableOf = (m: Machine, id: number) => m.shared + id * ROOM;
const startsOf = (m: Machine, id: number) => m.shared + count * ROOM + id * 4;
const wordAt = (m: Machine, at: number) => new DataView(m.memory.read(at, 4).buffer).getUint32(0, true);

/** Sends what its table says. */
const sender = (m: Machine, id: number, x2apic: boolean) => asm.flat32`
    ${enableApic({ x2apic })}
    mov ebp, ${tableOf(m, id)}
    mov edi, [ebp]
    add ebp, 4
    test edi, edi
    jz over
    next:
    mov ecx, [ebp]
    mov edx, [ebp+4]
    mov eax, [ebp+8]
    cmp ecx, ${ways.msr}
    jb mmio
    je msr
    mov esi, eax
    mov ebx, edx
    xor ecx, ecx
    xor edx, edx
    mov eax, 10
    vmmcall
    jmp sent
    msr:
    mov ecx, 0x830
    wrmsr
    jmp sent
    mmio:
    test ecx, ecx
    jz single
    mov [0xfee00310], edx
    single:
    mov [0xfee00300], eax
    sent:
    add ebp, ${4 * WORDS}
    dec edi
    jnz next
    over:
    ${idle()}`;

const began = performance.now();
const seconds = () => Number(((performance.now() - began) / 1000).toFixed(1));
let said = 0;
for (let at = 0; totals.sent < most || at === 0; at++) {
  const mode = modes[at % modes.length]!;
  await using m = await machine({
    ...(over === 1 ? { vcpus: count } : { nodes, transport }),
    memory: 4 << 20,
    apic: mode === 'x2apic' ? 'x2apic' : 'xapic',
  });
  const counted = new Counted(m, mode);
  const limit = Math.min(each, most - totals.sent);
  for (let round = 0; counted.sent < limit; round++) {
    await counted.round(limit, storm && at + round === 0 ? () => setClock(m.vcpu(0).runsHere ? 1 : -1) : undefined);
    if (tells) console.log(`so far ${totals.sent + counted.sent}`);
  }
  await counted.starts();
  counted.check();
  const isOver = totals.sent >= most;
  if (!isOver && seconds() - said < 60) continue;
  said = seconds();
  const mebibytes = Math.round(process.memoryUsage().rss / 2 ** 20);
  console.log(JSON.stringify({ ...totals, seconds: said, mebibytes, ...(isOver && { kinds }) }));
  if (!isOver || !storm) continue;
  console.log('storm');
  m.vcpu(0).program(asm.flat32`
    ${enableApic()}
    again:
    ${ipi({ to: count - 1, vector: 0x40 })}
    mov ecx, 2000000
    pause_:
    dec ecx
    jnz pause_
    jmp again`);
  await m.run({ until: { port: 0x77 }, deadline: '60s' });
}
