import { decodeLapic } from '../abi/lapic.ts';
import { mpStates } from '../abi/x86.ts';
import type { GuestMemory } from '../memory.ts';
import type { Vcpu } from '../vcpu.ts';

const hex = (value: bigint | number): string => `0x${value.toString(16)}`;
const mpStateNames = new Map<number, string>(Object.entries(mpStates).map(([name, value]) => [value, name]));

/** How many code bytes are shown at RIP: the longest instruction has 15. */
const CODE_BYTES = 16;

/** A vCPU's state as lines for a person: registers, code at RIP, mp_state, LAPIC. */
export function reportVcpu(vcpu: Vcpu, memory: GuestMemory): string {
  const regs = vcpu.getRegs();
  const rows = [
    ['rip', 'rflags', 'rsp', 'rbp'],
    ['rax', 'rbx', 'rcx', 'rdx'],
    ['rsi', 'rdi', 'r8', 'r9'],
  ] as const;
  const lines = rows.map((row) => row.map((name) => `${name.padEnd(6)} ${hex(regs[name]).padEnd(12)}`).join('  '));
  const mpState = vcpu.getMpState();
  lines.push(`code at rip: ${codeAt(memory, regs.rip)}`);
  lines.push(`mp_state ${mpStateNames.get(mpState) ?? mpState}${lapicLine(vcpu)}`);
  return [`vCPU ${vcpu.vcpuId}`, ...lines.map((line) => `  ${line.trimEnd()}`)].join('\n');
}

function codeAt(memory: GuestMemory, rip: bigint): string {
  if (rip >= BigInt(memory.size)) return 'not in guest memory';
  const offset = Number(rip);
  const bytes = memory.read(offset, Math.min(CODE_BYTES, memory.size - offset));
  return Buffer.from(bytes).toString('hex').replace(/../g, '$& ').trimEnd();
}

function lapicLine(vcpu: Vcpu): string {
  let page: Uint8Array;
  try {
    page = vcpu.getLapic();
  } catch {
    return ', no in-kernel LAPIC';
  }
  const { registers, irr, isr, softwareEnabled } = decodeLapic(page);
  const vectors = (list: number[]) => (list.length ? list.map((v) => hex(v)).join(' ') : 'none');
  return `, LAPIC ${softwareEnabled ? 'enabled' : 'software-disabled'}, ICR ${hex(registers.ICR)}, ICR2 ${hex(registers.ICR2)}, IRR ${vectors(irr)}, ISR ${vectors(isr)}`;
}
