/** What the n-th payload of a seed is: the machine that it runs in, and the code of each vCPU. */
import { disassemble, type GuestMode } from 'kvm-dsm';
import { apicPayload, msrPayload } from './apic-payload.ts';
import { goodPayloads } from './good-payloads.ts';
import { randomBytes, soup } from './payload.ts';
import { Random } from './random.ts';

export const generators = ['bytes', 'soup', 'valid', 'mutated', 'apic', 'msr'] as const;
export type PayloadKind = (typeof generators)[number];

/** The code of one vCPU. */
export interface PlannedProgram {
  kind: PayloadKind | 'target';
  mode: GuestMode;
  /** In hexadecimal. */
  code: string;
  interrupts: boolean;
  idt: boolean;
  start: 'now' | 'sipi';
}

/** One payload; as JSON it is all that is needed to run it again. */
export interface Plan {
  index: number;
  irqchip: 'full' | 'split' | 'none';
  apic: 'reset' | 'xapic' | 'x2apic';
  programs: PlannedProgram[];
}

/** 1 to 24 instructions that a decoder takes for such, of any kind. */
function validInstructions(random: Random, mode: GuestMode): Uint8Array {
  const lines = disassemble(random.bytes(128), { mode }).filter(({ text }) => !text.startsWith('db '));
  const some = lines.slice(0, random.int(1, 24)).flatMap(({ bytes }) => [...bytes]);
  return some.length > 0 ? Uint8Array.from(some) : Uint8Array.of(0xf4);
}

/** A good payload with 1 to 6 changes: a bit, a byte, bytes more, bytes less, or a piece of another one. */
function mutated(random: Random, mode: GuestMode): Uint8Array {
  const good = goodPayloads(mode);
  const bytes = [...random.pick(good)];
  for (let i = random.int(1, 6); i > 0; i--) {
    const at = random.int(0, bytes.length - 1);
    const other = random.pick(good);
    random.pick([
      () => (bytes[at]! ^= 1 << random.int(0, 7)),
      () => (bytes[at] = random.int(0, 255)),
      () => bytes.splice(at, 0, ...random.bytes(random.int(1, 4))),
      () => bytes.length > 4 && bytes.splice(at, random.int(1, 3)),
      () => bytes.splice(at, 0, ...other.subarray(random.int(0, other.length - 1))),
    ])();
  }
  return Uint8Array.from(bytes.length > 0 ? bytes : [0xf4]);
}

function codeOf(random: Random, kind: PayloadKind, mode: GuestMode): Uint8Array {
  switch (kind) {
    case 'bytes':
      return randomBytes(random);
    case 'soup':
      return soup(random);
    case 'valid':
      return validInstructions(random, mode);
    case 'mutated':
      return mutated(random, mode);
    case 'apic':
      return apicPayload(random, mode);
    case 'msr':
      return msrPayload(random, mode);
  }
}

/** Takes interrupts for ever: the same bytes in every mode. sti; hlt; jmp to the hlt. */
const target = Uint8Array.of(0xfb, 0xf4, 0xeb, 0xfd);

/** The same for the same seed and index, whichever others run. */
export function planOf(seed: number, index: number, interruptsOff: number): Plan {
  const random = new Random(seed + index * 0x9e37);
  const irqchip = random.pick(['full', 'full', 'split', 'none'] as const);
  const apic = irqchip === 'none' ? 'reset' : random.pick(['reset', 'xapic', 'x2apic'] as const);
  const program = (kind: PlannedProgram['kind'], start: 'now' | 'sipi' = 'now'): PlannedProgram => {
    const mode = random.pick(['flat32', 'flat32', 'long64', 'real16'] as const);
    const code = kind === 'target' ? target : codeOf(random, kind, mode);
    const interrupts = !random.chance(interruptsOff);
    const idt = random.chance(0.8);
    return { kind, mode, code: Buffer.from(code).toString('hex'), interrupts, idt, start };
  };
  const programs = [program(generators[index % generators.length]!)];
  if (random.chance(0.4)) {
    const start = irqchip !== 'none' && random.chance(0.3) ? 'sipi' : 'now';
    programs.push(program(random.chance(0.6) ? 'target' : random.pick(generators), start));
  }
  return { index, irqchip, apic, programs };
}
