/** A program with a schedule point, `out STEP_PORT, al`, between its instructions. It changes no register and no flag. */
import { guestPorts } from '../protocol.ts';
import { STEP_PORT } from '../step-port.ts';
import { AsmError } from './error.ts';
import { parse } from './parse.ts';
import { Source } from './source.ts';
import type { Bits, Expression, InstructionSyntax, OperandSyntax, Program, Statement } from './syntax.ts';

/** An instruction where it lies. */
export interface SteppedInstruction {
  readonly address: number;
  readonly bytes: Uint8Array;
  /** The line of the text. */
  readonly text: string;
}

/**
 * Puts them in. None stands behind `sti`, `mov ss` or `pop ss`: interrupts wait for one instruction more there, and that would be
 * the point. None stands beside an `out` that tells the host something, which is one itself.
 *
 * @throws AsmError for an instruction that counts from where it lies (`$`)
 */
export function steppedProgram(program: Program, bits: Bits): Program {
  const point = parse(new Source(`out ${STEP_PORT}, al`), bits).statements[0]!.body!;
  const statements: Statement[] = [];
  let last: InstructionSyntax | undefined;
  for (const statement of program.statements) {
    const { body, label, times, ...rest } = statement;
    if (body?.kind !== 'instruction') {
      statements.push(statement);
      if (body && body.kind !== 'equ') last = undefined;
      continue;
    }
    refuseHere(body);
    if (last && (shadows(last) || tells(last) || tells(body))) statements.push(statement);
    else {
      statements.push({ ...rest, ...(label !== undefined && { label }), body: point });
      statements.push({ ...rest, ...(times && { times }), body });
    }
    last = body;
  }
  return { ...program, statements };
}

/** Interrupts are not taken right behind it. */
function shadows({ mnemonic, operands: [first] }: InstructionSyntax): boolean {
  const toSs = first?.kind === 'plain' && first.value.kind === 'register' && first.value.register.name === 'ss';
  return mnemonic === 'sti' || ((mnemonic === 'mov' || mnemonic === 'pop') && toSs);
}

const words: readonly number[] = Object.values(guestPorts);

function tells({ mnemonic, operands: [first] }: InstructionSyntax): boolean {
  if (mnemonic !== 'out' || first?.kind !== 'plain' || first.value.kind !== 'number') return false;
  const port = Number(first.value.value);
  return port === STEP_PORT || words.includes(port);
}

function refuseHere({ operands, place }: InstructionSyntax): void {
  if (!operands.some((operand) => expressionsOf(operand).some(hasHere))) return;
  throw new AsmError(
    place,
    'An instruction that counts from where it lies ($) cannot have a step of its own',
    "Write a label, or mark the steps by hand: { steps: 'marked' } and step().",
  );
}

function expressionsOf(operand: OperandSyntax): Expression[] {
  if (operand.kind === 'pointer') return [operand.selector, operand.offset];
  return [operand.kind === 'memory' ? operand.address : operand.value];
}

function hasHere(expression: Expression): boolean {
  if (expression.kind === 'here') return true;
  if (expression.kind === 'unary') return hasHere(expression.operand);
  return expression.kind === 'binary' && (hasHere(expression.left) || hasHere(expression.right));
}
