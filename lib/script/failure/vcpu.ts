/** One vCPU for a person: registers, the code at RIP, LAPIC, mp_state, counters. */
import { decodeIcr, describeIcr } from '../../abi/apic/icr.ts';
import type { LapicRegisterName } from '../../abi/apic/lapic.ts';
import { vectorName } from '../../abi/exceptions.ts';
import type { KvmRegs } from '../../abi/kvm/index.ts';
import { RFLAGS_IF } from '../../abi/kvm/index.ts';
import { hex, hexBytes } from '../../base/text.ts';
import { instructionsAround } from './code.ts';
import { mpStateName, place, vectors } from './names.ts';
import { type CpuSnapshot, isReset, type LapicSnapshot, type VcpuSnapshot } from './snapshot.ts';

/** Instructions that are shown before and after the one at RIP. */
const BEFORE = 2;
const AFTER = 2;
const PER_ROW = 6;
const BYTES = 11;

const general = [
  'rax',
  'rbx',
  'rcx',
  'rdx',
  'rsi',
  'rdi',
  'rbp',
  'r8',
  'r9',
  'r10',
  'r11',
  'r12',
  'r13',
  'r14',
  'r15',
] as const;
const lvt = ['TIMER', 'THERMAL', 'PMC', 'LINT0', 'LINT1', 'ERROR'] as const;
const LVT_MASKED = 1 << 16;

/** All of it, a dozen lines; of a vCPU that has nothing to run, one. */
export function describeVcpu(vcpu: VcpuSnapshot): string[] {
  const { cpu } = vcpu;
  if (typeof cpu === 'string' || !vcpu.program) return [describeVcpuBriefly(vcpu)];
  const lines = [
    ...registers(cpu),
    ...code(vcpu, cpu),
    ...(cpu.lapic ? lapic(cpu.lapic) : ['no in-kernel LAPIC']),
    `handled ${counters(vcpu)}`,
  ];
  return [headline(vcpu, cpu), ...lines.map((line) => `  ${line}`)];
}

/** One line, for those that a failure is not about. */
export function describeVcpuBriefly(vcpu: VcpuSnapshot): string {
  const { cpu } = vcpu;
  if (typeof cpu === 'string') return `vCPU ${vcpu.id}: ${cpu}`;
  const { lapic } = cpu;
  const interrupts = lapic ? `, IRR ${vectors(lapic.irr)}, ISR ${vectors(lapic.isr)}` : '';
  return `${headline(vcpu, cpu)}, rip ${place(cpu.regs.rip, vcpu.program)}${interrupts}, handled ${counters(vcpu)}`;
}

function headline(vcpu: VcpuSnapshot, cpu: CpuSnapshot): string {
  const enabled = (cpu.regs.rflags & RFLAGS_IF) === 0n ? 'interrupts disabled' : 'interrupts enabled';
  const program = vcpu.program ? '' : ', no program';
  const reset = isReset(cpu) ? ', at the reset vector' : '';
  return `vCPU ${vcpu.id}: mp_state ${mpStateName(cpu.mpState)}, ${cpu.mode}, ${enabled}${program}${reset}`;
}

function registers({ regs, sregs }: CpuSnapshot): string[] {
  const { cs, idt, cr0, cr2, cr3, cr4, efer } = sregs;
  const first = [
    ['rip', regs.rip],
    ['rsp', regs.rsp],
    ['rflags', regs.rflags],
    ['cs', cs.selector],
    ['cr0', cr0],
    ['idt', `${hex(idt.base)}+${hex(idt.limit)}`],
  ] as const;
  const more = (
    [
      ['cr2', cr2],
      ['cr3', cr3],
      ['cr4', cr4],
      ['efer', efer],
    ] as const
  ).filter(([, value]) => value !== 0n);
  const set = general.filter((name) => regs[name] !== 0n).map((name: keyof KvmRegs) => [name, regs[name]] as const);
  const rest = set.length === general.length ? [] : set.length === 0 ? ['general registers 0'] : ['the others 0'];
  const show = ([name, value]: readonly [string, bigint | number | string]) =>
    `${name} ${typeof value === 'string' ? value : hex(value)}`;
  return [first.map(show).join('  '), ...rows([...[...set, ...more].map(show), ...rest])];
}

function rows(words: readonly string[]): string[] {
  const lines: string[] = [];
  for (let at = 0; at < words.length; at += PER_ROW) lines.push(words.slice(at, at + PER_ROW).join('  '));
  return lines;
}

function code({ program }: VcpuSnapshot, cpu: CpuSnapshot): string[] {
  const { rip } = cpu.regs;
  const all = instructionsAround(cpu, rip);
  const at = all.findIndex(({ address }) => address === rip);
  if (at < 0) return [`code at ${place(rip, program)}: not in guest memory`];
  // What lies behind a program is no code.
  const end = program && rip >= program.begin ? program.begin + BigInt(program.bytes.length) : rip;
  if (program && rip === end) return [`code at ${hex(rip)}: behind the program's end`];
  const shown = all
    .slice(Math.max(0, at - BEFORE), at + AFTER + 1)
    .filter(({ address }) => rip >= end || address < end);
  return shown.map(({ address, bytes, text }) => {
    return `${address === rip ? '>' : ' '} ${hex(address)}  ${hexBytes(bytes).padEnd(BYTES * 3 - 1)}  ${text}`;
  });
}

function lapic({ registers, irr, isr, tmr, view }: LapicSnapshot): string[] {
  const { apicId, mode, enabled } = view;
  const state = mode === 'disabled' ? 'disabled' : enabled ? 'enabled' : 'software-disabled';
  const { ICR, ICR2, ESR, TPR, PPR, SVR, LDR } = registers;
  const icr = ICR === 0 ? '0x0' : `${hex(ICR)} (${describeIcr(decodeIcr(ICR))})`;
  return [
    `LAPIC ${mode === 'x2apic' ? 'x2APIC' : 'xAPIC'} id ${apicId}, ${state}: IRR ${vectors(irr)}, ISR ${vectors(isr)}, TMR ${vectors(tmr)}, ESR ${hex(ESR)}, SVR ${hex(SVR)}, TPR ${hex(TPR)}, PPR ${hex(PPR)}, LDR ${hex(LDR)}`,
    `ICR ${icr}, ICR2 ${hex(ICR2)}, LVT ${lvtText(registers)}`,
  ];
}

function lvtText(registers: Record<LapicRegisterName, number>): string {
  const entries = lvt.map((name) => [name, registers[`LVT_${name}`]] as const);
  const masked = entries.filter(([, value]) => value & LVT_MASKED);
  if (masked.length === entries.length) return 'all masked';
  const open = entries.filter(([, value]) => !(value & LVT_MASKED)).map(([name, value]) => `${name} ${hex(value)}`);
  return `${open.join(', ')}${masked.length > 0 ? ', the others masked' : ''}`;
}

function counters({ counters }: VcpuSnapshot): string {
  if (counters.size === 0) return 'no interrupt';
  return [...counters]
    .map(([vector, count]) => `${vector < 32 ? vectorName(vector) : hex(vector)} x${count}`)
    .join(', ');
}
