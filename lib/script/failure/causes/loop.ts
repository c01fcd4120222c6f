/** A vCPU that goes round in a loop. */
import { hex } from '../../../base/text.ts';
import type { DisassembledLine } from '../../../guest/asm/disassemble.ts';
import { CR0_PG, instructionAt, instructionsAround } from '../code.ts';
import { place } from '../names.ts';
import { type CpuSnapshot, isReset, type VcpuSnapshot } from '../snapshot.ts';
import type { Cause } from '../types.ts';

/** So many samples have to find it in the same loop. */
const SAMPLES = 3;
/** A loop of more instructions is not shown, and not claimed. */
const LONGEST = 12;
const jump = /^(j\w+|loop\w*) (?:short |near )?0x([0-9a-f]+)$/;

export function loopCause(vcpu: VcpuSnapshot, cpu: CpuSnapshot, say: (text: string, weight: number) => Cause): Cause[] {
  const { rip } = cpu.regs;
  const here = instructionAt(cpu, rip);
  if (!here) return cpu.code.bytes.length === 0 ? [say(outside(vcpu, cpu), 70)] : [];
  if (targetOf(here) === rip && here.text.startsWith('jmp'))
    return [say(` spins at ${place(rip, vcpu.program)}: ${plain(here)}`, 65)];
  const samples = [...vcpu.samples, rip];
  const loop = samples.length < SAMPLES ? undefined : loopAround(instructionsAround(cpu, rip), samples);
  if (!loop) return [];
  const [first] = loop;
  const text = loop.map(plain).join('; ');
  return [
    say(
      ` is in a loop at ${place(first!.address, vcpu.program)}, as each of ${samples.length} looks found: ${text}`,
      50,
    ),
  ];
}

function outside({ program }: VcpuSnapshot, cpu: CpuSnapshot): string {
  if (isReset(cpu))
    return ' is at the reset vector 0xfffffff0, where no firmware is: an INIT or a triple fault brought it there';
  const { cs, cr0 } = cpu.sregs;
  const { rip } = cpu.regs;
  const where = cs.l || cs.base === 0n ? place(rip, program) : `${hex(cs.base + rip)} (rip ${hex(rip)})`;
  return ` is at ${where}, which is not ${(cr0 & CR0_PG) === 0n ? 'in' : 'mapped to'} guest memory`;
}

function targetOf({ text }: DisassembledLine): bigint | undefined {
  const found = jump.exec(text);
  return found ? BigInt(`0x${found[2]}`) : undefined;
}

/** The shortest loop, closed by a jump backwards, that has all of these addresses. */
function loopAround(lines: readonly DisassembledLine[], samples: readonly bigint[]): DisassembledLine[] | undefined {
  const loops = lines.flatMap((line, end) => {
    const begin = lines.findIndex(({ address }) => address === targetOf(line));
    const body = begin >= 0 && begin <= end ? lines.slice(begin, end + 1) : [];
    const has = (rip: bigint) => body.some(({ address }) => address === rip);
    return body.length > 0 && body.length <= LONGEST && samples.every(has) ? [body] : [];
  });
  return loops.sort((a, b) => a.length - b.length)[0];
}

/** As a person would write it. */
function plain({ text }: DisassembledLine): string {
  return text.replace(/^(\w+) (?:short|near) /, '$1 ');
}
