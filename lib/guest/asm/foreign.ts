/** What a line that cannot be read is in the dialect of another assembler: each way is told by name, with what to write instead. */
import { AsmError, type Place } from './error.ts';
import { codesOf } from './names.ts';
import { findRegister } from './registers.ts';
import type { Source } from './source.ts';

interface Dialect {
  readonly index: number;
  readonly text: string;
  readonly reason: string;
  readonly advice: string;
}

const NO_PREPROCESSOR = 'there is no preprocessor';
const ONE_SECTION = 'Leave it out: there is one section, and it lies where it is loaded.';
const LABELS_ARE_READ = 'Leave it out: every label can be read from the code object.';
const AT_INTERPOLATED = 'A value of TypeScript is interpolated.';

const AS_FUNCTION = 'Write a function in TypeScript that gives the text, and interpolate its result.';

/** NASM's own preprocessor: what TypeScript has instead. */
const preprocessor: Readonly<Record<string, string>> = {
  define: `Write: NAME equ value. ${AT_INTERPOLATED}`,
  xdefine: `Write: NAME equ value. ${AT_INTERPOLATED}`,
  assign: `Write: NAME equ value. ${AT_INTERPOLATED}`,
  macro: AS_FUNCTION,
  imacro: AS_FUNCTION,
  endmacro: AS_FUNCTION,
  include: 'Interpolate the text: import it, or read the file with readFileSync.',
  rep: "Write: times 3 nop, or interpolate '...'.repeat(3).",
  endrep: "Write: times 3 nop, or interpolate '...'.repeat(3).",
};
const CONDITIONAL = 'Interpolate the text by a condition of TypeScript, empty text where it does not hold.';

/** GAS directives, without their dot. Those of data with what says the same. */
const gas: Readonly<Record<string, string>> = {
  ...{ byte: 'Write: db.', ascii: "Write: db 'text'.", asciz: "Write: db 'text', 0.", string: "Write: db 'text', 0." },
  ...{ word: 'Write: dw.', short: 'Write: dw.', hword: 'Write: dw.', '2byte': 'Write: dw.' },
  ...{ long: 'Write: dd.', int: 'Write: dd.', '4byte': 'Write: dd.', quad: 'Write: dq.', '8byte': 'Write: dq.' },
  ...{ align: 'Write: align 16.', balign: 'Write: align 16.', p2align: 'Write: align 16 for .p2align 4.' },
  ...{
    space: 'Write: resb 16.',
    skip: 'Write: resb 16.',
    zero: 'Write: times 16 db 0.',
    fill: 'Write: times 16 db 0.',
  },
  ...{ set: 'Write: NAME equ value.', equ: 'Write: NAME equ value.', org: 'Write: org 0x7c00.' },
  ...{ code16: 'Write: bits 16.', code32: 'Write: bits 32.', code64: 'Write: bits 64.', code16gcc: 'Write: bits 16.' },
  ...{ text: ONE_SECTION, data: ONE_SECTION, bss: ONE_SECTION, section: ONE_SECTION, rodata: ONE_SECTION },
  ...{ globl: LABELS_ARE_READ, global: LABELS_ARE_READ, extern: 'Interpolate the address.' },
  ...{ intel_syntax: 'Leave it out: Intel syntax is all that is read here.' },
  ...{ att_syntax: 'Write NASM: the destination first, registers without %, numbers without $.' },
  ...{ macro: AS_FUNCTION, endm: AS_FUNCTION },
  ...{
    rept: 'Write: times 3 nop.',
    endr: 'Write: times 3 nop.',
    include: 'Interpolate the text.',
    incbin: 'Interpolate the bytes.',
  },
  ...{
    type: 'Leave it out.',
    size: 'Leave it out.',
    file: 'Leave it out.',
    arch: 'Leave it out.',
    end: 'Leave it out.',
  },
  ...{ if: CONDITIONAL, ifdef: CONDITIONAL, else: CONDITIONAL, endif: CONDITIONAL },
};

/** MASM and TASM: first words of a line, or second ones behind a name. */
const masm: Readonly<Record<string, string>> = {
  ...{ proc: 'Write a label with a colon, and nothing at its end.', endp: 'Leave it out.', assume: 'Leave it out.' },
  ...{ public: LABELS_ARE_READ, extrn: 'Interpolate the address.', ends: ONE_SECTION },
};

/** AT&T's names of instructions that Intel calls otherwise. */
const attNames: Readonly<Record<string, string>> = {
  ...{ ljmp: 'jmp 0x08:label', lcall: 'call 0x08:label', lret: 'retf', movzb: 'movzx', movzw: 'movzx' },
  ...{ movsb: 'movsx', movsw: 'movsx', movabs: 'mov', cbtw: 'cbw', cwtl: 'cwde', cltq: 'cdqe', cwtd: 'cwd' },
  ...{ cltd: 'cdq', cqto: 'cqo' },
};

const ATT_ADVICE = 'Write NASM: mov ebx, eax (the destination first, registers without %, numbers without $).';

/** What another assembler would read the line as; undefined if none that is known here would. */
export function foreignLine(source: Source, line: number): AsmError | undefined {
  const written = source.lines[line - 1] ?? '';
  const found = dialectOf(withoutText(written));
  return found && new AsmError(source.place(line, found.index, found.text), found.reason, found.advice);
}

/** What to write for a name that nobody has defined; undefined if it looks like a name. */
export function adviseForeignSymbol(name: string, { source, column }: Place): string | undefined {
  if (/^[a-f][0-9a-f]*h$/i.test(name)) return `For hexadecimal write 0x${name.slice(0, -1)} or 0${name}.`;
  if (name === '?') return 'Reserve space with resb, resw, resd or resq: x: resd 1.';
  if (/^@[fb]$/i.test(name)) return 'There are no anonymous labels: write .again: and jmp .again.';
  if (
    withoutText(source)
      .slice(0, column - 1)
      .includes('//')
  )
    return 'Comments begin with a semicolon; // divides.';
  return undefined;
}

/** The line with its strings and its comment blanked. */
function withoutText(line: string): string {
  const blank = (text: string) => ' '.repeat(text.length);
  return line.replace(/'[^']*'|"[^"]*"|`(?:[^`\\]|\\.)*`|;.*$/g, blank);
}

function dialectOf(line: string): Dialect | undefined {
  return (
    nasmPreprocessor(line) ?? cPreprocessor(line) ?? gasDirective(line) ?? att(line) ?? masmWord(line) ?? small(line)
  );
}

function nasmPreprocessor(line: string): Dialect | undefined {
  const found = /^(\s*)(%([a-z]\w*))/i.exec(line);
  if (!found || findRegister(found[3]!)) return undefined;
  const word = found[3]!.toLowerCase();
  const conditional = /^(el|end)?if|^else/.test(word);
  const advice =
    preprocessor[word] ?? (conditional ? CONDITIONAL : 'Write it in TypeScript, and interpolate the text.');
  return {
    index: found[1]!.length,
    text: found[2]!,
    reason: `'${found[2]}' is a line of NASM's preprocessor, and ${NO_PREPROCESSOR}`,
    advice,
  };
}

function cPreprocessor(line: string): Dialect | undefined {
  const found = /^(\s*)(#\s*(?:define|include|ifn?def|if|else|endif|undef|pragma)\b)/.exec(line);
  if (!found) return undefined;
  return {
    index: found[1]!.length,
    text: found[2]!,
    reason: `'${found[2]}' is a line of C's preprocessor, and ${NO_PREPROCESSOR}`,
    advice: `Write: NAME equ value. ${AT_INTERPOLATED}`,
  };
}

function gasDirective(line: string): Dialect | undefined {
  const found = /^(\s*(?:[\w.$?@]+:\s*)?)(\.(\w+))(?!\s*:)/.exec(line);
  if (!found) return undefined;
  const [, before, text, name] = found;
  const word = name!.toLowerCase();
  const at = { index: before!.length, text: text! };
  if (Object.hasOwn(gas, word)) return { ...at, reason: `'${text}' is a directive of GAS`, advice: gas[word]! };
  if (/^(?:[3-6]86p?|model|stack|code|const)$/.test(word))
    return { ...at, reason: `'${text}' is a directive of MASM`, advice: 'Leave it out.' };
  return undefined;
}

function att(line: string): Dialect | undefined {
  for (const found of line.matchAll(/(%)(\w+)|(\$)(?:0x|-)?\d\w*|\$[A-Za-z_]\w*(?=\s*,)|[-\w]+\([^)]*%/g))
    if (found[1] === undefined || findRegister(found[2]!))
      return {
        index: found.index,
        text: found[0],
        reason: `'${found[0]}' is AT&T syntax, which GAS reads`,
        advice: ATT_ADVICE,
      };
  const first = /^(\s*(?:[\w.$?@]+:\s*)?)([a-z]\w*)/i.exec(line);
  const intel = first && intelName(first[2]!.toLowerCase());
  if (!intel) return undefined;
  return {
    index: first[1]!.length,
    text: first[2]!,
    reason: `'${first[2]}' is AT&T's name of an instruction`,
    advice: `Write ${intel}, with the destination first; the size is the register's, or byte, word or dword before [...].`,
  };
}

/** What Intel calls an instruction that AT&T names with the size of its operands; undefined if it is none. */
function intelName(word: string): string | undefined {
  if (codesOf(word).length > 0) return undefined;
  if (Object.hasOwn(attNames, word)) return attNames[word];
  const stem = /^\w+(?=[bwlq]$)/.exec(word)?.[0];
  if (stem === undefined) return undefined;
  if (Object.hasOwn(attNames, stem)) return attNames[stem];
  return codesOf(stem).length > 0 ? stem : undefined;
}

function masmWord(line: string): Dialect | undefined {
  const found = /^(\s*(?:\w+\s+)?)(proc|endp|assume|public|extrn|ends)\b(?!\s*:)/i.exec(line);
  if (found)
    return {
      index: found[1]!.length,
      text: found[2]!,
      reason: `'${found[2]}' is a directive of MASM`,
      advice: masm[found[2]!.toLowerCase()]!,
    };
  const dup = /\bdup\b/i.exec(line);
  if (!dup) return undefined;
  return { index: dup.index, text: dup[0], reason: `'${dup[0]}' is not read here`, advice: 'Write: times 4 db 0.' };
}

/** Comments and labels of others. */
function small(line: string): Dialect | undefined {
  const comment = /\/\*/.exec(line);
  if (comment)
    return {
      index: comment.index,
      text: '/*',
      reason: "'/*' begins no comment",
      advice: 'Comments begin with a semicolon, and end with the line.',
    };
  const number = /^(\s*)(\d+):/.exec(line);
  if (number)
    return {
      index: number[1]!.length,
      text: number[2]!,
      reason: `'${number[2]}:' is a label of GAS`,
      advice: `A label begins with a letter or a dot: write .l${number[2]}: and jmp .l${number[2]}.`,
    };
  const two = /^(\s*[\w.$?@]+:\s*)([\w.$?@]+):/.exec(line);
  if (two)
    return {
      index: two[1]!.length,
      text: two[2]!,
      reason: 'There is one label a line',
      advice: `Write ${two[2]}: on a line of its own.`,
    };
  return undefined;
}
