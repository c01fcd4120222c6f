/** Why none does. */
import { AsmError } from './error.ts';
import type { Form } from './form.ts';
import type { Operand } from './operand.ts';
import type { Bits, InstructionSyntax } from './syntax.ts';

/** Why no form of the instruction takes these operands, as far as it can be told. */
export function mismatch(
  { mnemonic, place, prefixes }: InstructionSyntax,
  operands: readonly Operand[],
  forms: readonly Form[],
  bits: Bits,
): AsmError {
  const here = forms.filter(({ modes }) => modes.includes(bits));
  if (here.length === 0)
    return new AsmError(place, `${mnemonic} does not exist in ${bits}-bit code`, adviseMode(forms));
  const counts = [...new Set(here.map(({ explicit }) => explicit.length))].sort();
  if (!counts.includes(operands.length))
    return new AsmError(
      place,
      `${mnemonic} has ${count(operands.length)}, not ${counts.join(' or ')}`,
      listForms(here),
    );
  if (prefixes.operandSize !== undefined)
    return new AsmError(
      place,
      `${mnemonic} has no form with these operands and o${prefixes.operandSize}`,
      'Leave the prefix out, or change the operands.',
    );
  const instead = insteadOf(mnemonic, operands);
  if (instead) return new AsmError(operands[0]!.place, ...instead);
  const memory = operands.filter(({ kind }) => kind === 'memory');
  if (memory.length > 1)
    return new AsmError(memory[1]!.place, 'Both operands are in memory', 'Load one of them into a register first.');
  if (operands.length > 1 && operands[0]!.kind === 'immediate' && mnemonic !== 'out' && mnemonic !== 'enter')
    return new AsmError(
      operands[0]!.place,
      `${mnemonic} cannot write to a number`,
      'For memory at this address write [...].',
    );
  const sizes = new Set(operands.flatMap(sizeOf));
  const general = operands.every((operand) => operand.kind !== 'register' || operand.register.kind === 'gpr');
  if (sizes.size > 1 && operands.length === 2 && general)
    return new AsmError(operands[1]!.place, 'The operands differ in size', sizeAdvice(mnemonic, here));
  const elsewhere = forms.some(({ modes, explicit }) => !modes.includes(bits) && explicit.length === operands.length);
  const advice = elsewhere ? `${listForms(here)} Other forms exist in other modes only.` : listForms(here);
  return new AsmError(
    operands[0]?.place ?? place,
    `${mnemonic} has no form with these operands in ${bits}-bit code`,
    advice,
  );
}

/** What is written by habit, and no CPU since the 80386 does. */
function insteadOf(mnemonic: string, [first]: readonly Operand[]): [reason: string, advice: string] | undefined {
  if (first?.kind !== 'register') return undefined;
  if (mnemonic === 'pop' && first.register.name === 'cs')
    return [
      'pop cs was an instruction of the 8086 alone',
      'Load cs by a far jump: jmp 0x08:label, or push it and retf.',
    ];
  if (mnemonic === 'bswap' && first.register.size === 16)
    return ['bswap of 16 bits is undefined', `Swap the two bytes: rol ${first.register.name}, 8.`];
  return undefined;
}

function sizeOf(operand: Operand): number[] {
  if (operand.kind === 'register') return operand.register.size === 0 ? [] : [operand.register.size];
  return operand.qualifiers.size === undefined ? [] : [operand.qualifiers.size * 8];
}

function count(operands: number): string {
  return operands === 1 ? '1 operand' : `${operands} operands`;
}

function adviseMode(forms: readonly Form[]): string {
  const modes = [...new Set(forms.flatMap((form) => form.modes))].sort();
  return modes.length > 0 ? `It exists in ${modes.join('- and ')}-bit code.` : 'Use another instruction.';
}

function sizeAdvice(mnemonic: string, forms: readonly Form[]): string {
  if (mnemonic === 'mov') return 'Use registers of one size, or movzx or movsx.';
  return listForms(forms);
}

function listForms(forms: readonly Form[]): string {
  const texts = [...new Set(forms.map(({ text }) => text))];
  const shown = texts.slice(0, 6).join('; ');
  return `There is: ${shown}${texts.length > 6 ? '; and more' : ''}.`;
}
