/** What an instruction that writes ICR2 or ICR does to its vCPU: the same as if it wrote memory. */
import { APIC_DEFAULT_PHYS_BASE, lapicRegisters, readLapicRegister } from '../../../abi/apic/lapic.ts';
import type { KvmRegs } from '../../../abi/kvm/index.ts';
import { out8 } from '../../../guest/bytes.ts';
import type { Check } from '../../check.ts';
import type { CheckContext } from '../../kit/context.ts';
import { DONE_PORT } from '../../kit/guests.ts';

type Bits = 32 | 64;

/**
 * One instruction that writes 32 bits to `base + offset`. Before it: eax holds the value, ebx the base, edi base +
 * offset, esi where the value lies in memory.
 */
interface Form {
  word: string;
  text: string;
  bits: readonly Bits[];
  /** What its bytes say; `base` is the register. */
  nasm(at: { base: string; target: number; offset: number; value: number }, bits: Bits): string;
  bytes(at: { base: number; offset: number; value: number }, bits: Bits): number[];
  /** What esp is before it, if it is no stack. */
  esp?(at: { target: number; source: number }): number;
}

const le = (value: number) => [...new Uint8Array(Uint32Array.of(value).buffer)];
const BOTH = [32, 64] as const;
/** ModRM and displacement: `[ebx + offset]`, with a register (or more of the opcode) in its middle. */
const atEbx = (middle: number, offset: number) => [0x83 | (middle << 3), ...le(offset)];

export const forms: readonly Form[] = [
  {
    word: 'mov-immediate',
    text: 'MOV of an immediate',
    bits: BOTH,
    nasm: ({ base, offset, value }) => `mov dword [${base} + ${offset}], ${value}`,
    bytes: ({ offset, value }) => [0xc7, ...atEbx(0, offset), ...le(value)],
  },
  {
    word: 'mov-register',
    text: 'MOV of a register',
    bits: BOTH,
    nasm: ({ base, offset }) => `mov [${base} + ${offset}], eax`,
    bytes: ({ offset }) => [0x89, ...atEbx(0, offset)],
  },
  {
    word: 'mov-accumulator',
    text: 'MOV of the accumulator to an absolute address',
    bits: BOTH,
    nasm: ({ target }, bits) => `mov [${bits === 64 ? 'qword ' : ''}${target}], eax`,
    bytes: ({ base, offset }, bits) => [0xa3, ...le(base + offset), ...(bits === 64 ? le(0) : [])],
  },
  {
    word: 'xchg',
    text: 'XCHG',
    bits: BOTH,
    nasm: ({ base, offset }) => `xchg [${base} + ${offset}], eax`,
    bytes: ({ offset }) => [0x87, ...atEbx(0, offset)],
  },
  {
    word: 'and',
    text: 'AND',
    bits: BOTH,
    nasm: ({ base, offset, value }) => `and dword [${base} + ${offset}], ${value}`,
    bytes: ({ offset, value }) => [0x81, ...atEbx(4, offset), ...le(value)],
  },
  {
    word: 'or',
    text: 'OR',
    bits: BOTH,
    nasm: ({ base, offset, value }) => `or dword [${base} + ${offset}], ${value}`,
    bytes: ({ offset, value }) => [0x81, ...atEbx(1, offset), ...le(value)],
  },
  {
    word: 'inc',
    text: 'INC',
    bits: BOTH,
    nasm: ({ base, offset }) => `inc dword [${base} + ${offset}]`,
    bytes: ({ offset }) => [0xff, ...atEbx(0, offset)],
  },
  { word: 'movs', text: 'MOVSD', bits: BOTH, nasm: () => 'movsd', bytes: () => [0xa5] },
  { word: 'stos', text: 'STOSD', bits: BOTH, nasm: () => 'stosd', bytes: () => [0xab] },
  {
    word: 'push',
    text: 'PUSH',
    bits: [32],
    nasm: () => 'push eax',
    bytes: () => [0x50],
    esp: ({ target }) => target + 4,
  },
  {
    word: 'pop',
    text: 'POP',
    bits: [32],
    nasm: ({ base, offset }) => `pop dword [${base} + ${offset}]`,
    bytes: ({ offset }) => [0x8f, ...atEbx(0, offset)],
    esp: ({ source }) => source,
  },
];

/** To APIC id 0x77, which nobody has; fixed, vector 0xf0. */
const values = { ICR2: 0x7700_0000, ICR: 0x0000_40f0 } as const;
/** What is there before. */
const initial = { ICR2: 0x7f00_0000, ICR: 0x0000_80aa } as const;
/** What the local APIC keeps: of ICR2 the destination, of ICR all but the delivery status. */
const kept = { ICR2: 0xff00_0000, ICR: 0xffff_efff } as const;
const targets = ['ICR2', 'ICR'] as const;

/** CF, PF, AF, ZF, SF, OF, and IF, and what is always 1. */
const FLAGS = 0x0ad7;
const STEP_PORT = 0x12;
const SOURCES = 0x800;
const STACK = 0x1000;

const names = ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi'] as const;
type Load = Record<(typeof names)[number], number>;

/** `mov`: 32 bits that are below 2^32 in 64-bit mode too. */
const load = (registers: Load) => names.flatMap((name, number) => [0xb8 + number, ...le(registers[name])]);
/** `push` and `popf`. */
const loadFlags = (stack: number) => [0xb8 + names.indexOf('esp'), ...le(stack), 0x68, ...le(FLAGS), 0x9d];

/** One write, with all that it needs before and a way out after it. */
function step(form: Form, bits: Bits, base: number, shared: number, register: (typeof targets)[number]): number[] {
  const offset = lapicRegisters[register];
  const source = shared + SOURCES + offset;
  const target = base + offset;
  const registers = {
    eax: values[register],
    ecx: 0x0ecc_0ecc,
    edx: 0x0edd_0edd,
    ebx: base,
    esp: form.esp?.({ target, source }) ?? shared + STACK,
    ebp: 0x0ebb_0ebb,
    esi: source,
    edi: target,
  };
  const write = form.bytes({ base, offset, value: values[register] }, bits);
  return [...loadFlags(shared + STACK), ...load(registers), ...write, ...out8(STEP_PORT)];
}

/** A vCPU's registers, those that point into the page by how far. */
type State = Record<string, string>;

function stateOf(regs: KvmRegs, form: Form, base: number): State {
  const relative = new Set(['rbx', 'rdi', ...(form.word === 'push' ? ['rsp'] : [])]);
  return Object.fromEntries(
    Object.entries(regs)
      .filter(([name]) => name !== 'rip')
      .map(([name, value]) => [name, `0x${(relative.has(name) ? value - BigInt(base) : value).toString(16)}`]),
  );
}

/** Runs the form twice on memory and twice on the local APIC: what is so after it, at each exit. */
async function observe(ctx: CheckContext, form: Form, bits: Bits) {
  const machine = await ctx.machine({ apic: 'xapic' });
  const { vcpu } = machine.vcpu(0);
  const { shared } = machine;
  for (const register of targets) {
    machine.memory.write(shared + lapicRegisters[register], Uint8Array.from(le(initial[register])));
    machine.memory.write(shared + SOURCES + lapicRegisters[register], Uint8Array.from(le(values[register])));
  }
  const half = (base: number) => targets.flatMap((register) => step(form, bits, base, shared, register));
  const bytes = Uint8Array.from([...half(shared), ...half(APIC_DEFAULT_PHYS_BASE), ...out8(DONE_PORT)]);
  machine.vcpu(0).program({ mode: bits === 64 ? 'long64' : 'flat32', bytes });
  const high = { r8: 8n, r9: 9n << 60n, r10: 10n, r11: 11n, r12: 12n, r13: 13n, r14: 14n, r15: 15n << 60n };
  if (bits === 64) vcpu.setRegs(high);
  vcpu.setLapicRegisters(initial);
  const inMemory: State[] = [];
  const inApic: { register: string; at: string; state: State }[] = [];
  await machine.run({
    until: ({ exit }) => {
      if (exit.name === 'KVM_EXIT_IO' && exit.port === DONE_PORT) return true;
      const regs = vcpu.getRegs();
      const isStep = exit.name === 'KVM_EXIT_IO' && exit.port === STEP_PORT;
      if (isStep && inMemory.length < targets.length) {
        inMemory.push(stateOf(regs, form, shared));
      } else if (inMemory.length === targets.length) {
        const done = inApic.filter(({ at }) => at === 'behind it').length;
        const state = stateOf(regs, form, APIC_DEFAULT_PHYS_BASE);
        inApic.push({ register: targets[done] ?? 'none', at: isStep ? 'behind it' : exit.name, state });
      }
      return false;
    },
  });
  const word = (register: (typeof targets)[number]) => {
    const bytesThere = machine.memory.read(shared + lapicRegisters[register], 4);
    return (new DataView(bytesThere.buffer, bytesThere.byteOffset).getUint32(0, true) & kept[register]) >>> 0;
  };
  const page = vcpu.getLapic();
  return {
    inMemory,
    inApic,
    memory: targets.map(word),
    lapic: targets.map((register) => readLapicRegister(page, register)),
  };
}

function check(form: Form, bits: Bits): Check {
  return {
    id: `transparency.write.${form.word}.bits-${bits}`,
    claim: `In ${bits}-bit code ${form.text} to ICR2 and ICR leaves registers, flags and the value as with memory`,
    source: 'SDM vol. 2, the instruction; patch 2/3: the exit is a notification',
    async run(ctx) {
      const { inMemory, inApic, memory, lapic } = await observe(ctx, form, bits);
      const isStep = ({ at }: { at: string }) => at === 'behind it';
      ctx.equal(
        'the states behind the writes',
        inApic.filter(isStep).map(({ state }) => state),
        inMemory,
      );
      // Which write an exit belongs to is the claim of others: its state is one that a write leaves.
      for (const { at, state } of inApic.filter((one) => !isStep(one))) {
        const same = inMemory.find((wanted) => JSON.stringify(wanted) === JSON.stringify(state));
        if (!same) ctx.equal(`the state at ${at}`, state, inMemory[0]!);
      }
      ctx.equal('ICR2 and ICR at the end', lapic, memory);
    },
  };
}

export const formChecks: readonly Check[] = forms.flatMap((form) => form.bits.map((bits) => check(form, bits)));
