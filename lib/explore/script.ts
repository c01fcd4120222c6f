/** A history as a script of the kit: it shows the same thing on its own. */
import { lapicRegisterName, lapicRegisters } from '../abi/apic/lapic.ts';
import type { GuestOperation, HostOperation, Operation } from '../apic/model/operations.ts';
import { isGuests } from '../apic/model/operations.ts';
import { apicBaseIn, type ModelState } from '../apic/model/state.ts';
import { IA32_TSC_DEADLINE, LEAST_LEFT } from '../apic/model/timer.ts';
import { hex } from '../base/text.ts';
import { type Difference, RUNS } from './compare.ts';
import type { Parting } from './history.ts';

const PAGE = 0xfee0_0000;

/** The instructions of a guest's operation, without the end. */
function codeOf(operation: GuestOperation): string {
  switch (operation.do) {
    case 'write':
      return `mov ebx, ${hex(PAGE + lapicRegisters[operation.register])}; mov dword [rbx], ${hex(operation.value >>> 0)}`;
    case 'read':
      return `mov ebx, ${hex(PAGE + lapicRegisters[operation.register])}; mov eax, [rbx]`;
    case 'wrmsr': {
      const { msr, low, high } = operation;
      return `mov ecx, ${hex(msr)}; mov eax, ${hex(low >>> 0)}; mov edx, ${hex(high)}; wrmsr`;
    }
    case 'rdmsr':
      return `mov ecx, ${hex(operation.msr)}; rdmsr`;
    case 'writeCr8':
      return `mov eax, ${operation.value}; mov cr8, rax`;
    case 'readCr8':
      return 'mov rax, cr8';
    case 'sti':
      return 'sti; nop';
    default:
      return operation.do;
  }
}

/** What of it somebody who reads the script wants to know. */
function remark(operation: GuestOperation): string {
  if (operation.do === 'write' || operation.do === 'read') return ` // ${operation.do} ${operation.register}`;
  if (operation.do !== 'wrmsr' && operation.do !== 'rdmsr') return '';
  return operation.msr === 0x1b
    ? ' // IA32_APIC_BASE'
    : ` // x2APIC ${lapicRegisterName((operation.msr - 0x800) << 4) ?? ''}`;
}

function hostLine(operation: HostOperation): string | null {
  if (operation.do === 'msi')
    return `m.vm.signalMsi({ addressLo: ${hex(operation.addressLo)}, data: ${hex(operation.data)} });`;
  const vcpu = `m.vcpu(${operation.on}).vcpu`;
  switch (operation.do) {
    case 'nmi':
      return `${vcpu}.nmi();`;
    case 'setLapic':
      return `${vcpu}.setLapicRegisters({ ${operation.register}: ${hex(operation.value)} });`;
    case 'restore':
      return `${vcpu}.setLapic(${vcpu}.getLapic());`;
    case 'setBase':
      return `${vcpu}.setMsr(0x1b, ${hex(apicBaseIn(operation.mode, operation.on))}n);`;
    default:
      return null;
  }
}

function line(operation: Operation, before: ModelState): string | null {
  if (!isGuests(operation)) return hostLine(operation);
  const { interrupts, eoi } = before.processors[operation.on]!;
  const isQuiet = !eoi && (interrupts || operation.do === 'sti');
  const more = isQuiet ? `, ${interrupts}, quiet` : interrupts ? ', true' : '';
  return `on(${operation.on}, '${codeOf(operation)}'${more});${remark(operation)}`;
}

/** What the model says, and the kernel does not. */
function claim({ vcpu, field, model, kernel }: Difference, last: Operation): string {
  const on = vcpu ?? ('on' in last ? last.on : 0);
  const one = `m.vcpu(${on}).vcpu`;
  const count = `const { TMCCT, TMICT } = ${one}.lapic().registers;`;
  if (model === RUNS) return `${count} assert.ok(TMCCT > TMICT / ${LEAST_LEFT} && TMCCT <= TMICT);`;
  if (vcpu !== null && field in lapicRegisters) return `assert.equal(${one}.lapic().registers.${field}, ${model});`;
  if (field === 'mp_state') return `assert.equal(${one}.getMpState(), ${model});`;
  if (field === 'NMIs that wait') return `assert.equal(${one}.getVcpuEvents().nmi.pending, ${model});`;
  if (field === 'result') return `assert.fail(\`read \${${one}.getRegs().rax}, and it should be ${model}\`);`;
  if (field === 'exits') return `assert.fail(\`\${JSON.stringify(exits)}, and they should be: ${model}\`);`;
  return `assert.fail('${field}: ${kernel.replaceAll("'", '')}; the model says ${model}');`;
}

/** Made of what a difference came of: at most some twenty lines. */
export function scriptOf({ operations, states, differences }: Parting, vcpus: number, replay: string): string {
  const lines = operations.flatMap((operation, at) => line(operation, states[at]!) ?? []);
  const isQuiet = lines.some((one) => one.includes(', quiet)'));
  const hasDeadline = operations.some((one) => 'msr' in one && one.msr === IA32_TSC_DEADLINE);
  const handlers = isQuiet ? ', handlers = {}' : '';
  return [
    `// kvm-dsm explore --replay ${replay}`,
    "import assert from 'node:assert/strict';",
    "import { asm, machine } from 'kvm-dsm';",
    ...(hasDeadline ? ["import { showTscDeadline } from 'kvm-dsm/kvm';"] : []),
    '',
    `await using m = await machine({ vcpus: ${vcpus}, apic: 'xapic'${hasDeadline ? ', cpuid: showTscDeadline' : ''} });`,
    'const exits: unknown[] = [];',
    `const on = (id: number, code: string, interrupts = false${handlers}) => {`,
    '  const { vcpu } = m.vcpu(id);',
    `  const text = \`\${code.replaceAll('; ', '\\n')}\\nout 0x10, al${isQuiet ? '\\nquiet: iretq' : ''}\`;`,
    `  m.vcpu(id).program(asm.long64(text), { interrupts${isQuiet ? ', handlers' : ''} });`,
    '  for (let exit = vcpu.run(); exit.name !== "KVM_EXIT_IO"; exit = vcpu.run()) exits.push(exit);'.replaceAll(
      '"',
      "'",
    ),
    '  for (const { vcpu } of m.vcpus) vcpu.getMpState(); // KVM takes INIT and SIPI',
    '};',
    ...(isQuiet ? ["const quiet = Object.fromEntries(Array.from({ length: 224 }, (_, n) => [n + 32, 'quiet']));"] : []),
    ...lines,
    claim(differences.find(({ vcpu }) => vcpu !== null) ?? differences[0]!, operations.at(-1)!),
    '',
  ].join('\n');
}
