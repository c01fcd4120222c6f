import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AsmError, asm } from '../../../lib/index.ts';
import { corpus } from '../../support/asm-corpus.ts';

const assemblers = { 16: asm.real16, 32: asm.flat32, 64: asm.long64 } as const;

function refused(text: string, bits: 16 | 32 | 64 = 32): AsmError {
  try {
    void assemblers[bits](text).bytes;
  } catch (error) {
    assert.ok(error instanceof AsmError, String(error));
    return error;
  }
  throw new Error(`${text} was assembled`);
}

test('what looks like another dialect and is NASM is assembled', () => {
  const hexOf = (text: string, bits: 16 | 32 | 64 = 32) => Buffer.from(assemblers[bits](text).bytes).toString('hex');
  assert.equal(hexOf('mov eax, $10'), 'b810000000');
  assert.equal(hexOf('db 7 %5, "%eax"'), '0225656178');
  assert.equal(hexOf('x:\n.text: jmp .text'), 'ebfe');
  assert.equal(hexOf('x:\n.long dd 5'), '05000000');
  assert.equal(hexOf('db 300 % 256 ; movl $1, %eax'), '2c');
});

test('an error shows line, column, the text and a caret', () => {
  let error: unknown;
  try {
    asm.flat32`
      mov eax, 1
      mvo dword [${0x1000}], eax
    `;
  } catch (caught) {
    error = caught;
  }
  assert.ok(error instanceof AsmError);
  assert.equal(error.code, 'ERR_ASM');
  assert.deepEqual([error.line, error.column, error.text], [3, 7, 'mvo']);
  assert.equal(error.excerpt, '  3 |       mvo dword [0x1000], eax\n    |       ^~~');
  assert.equal(error.message, `line 3, column 7: There is no instruction 'mvo'\n${error.excerpt}`);
  assert.match(error.advice, /^Did you mean mov\?/);
});

const cases: [text: string, offending: string, reason: RegExp, advice: RegExp][] = [
  ['movv eax, 1', 'movv', /no instruction 'movv'/, /Did you mean mov\?/],
  ['hltt', 'hltt', /no instruction/, /Did you mean hlt\? If it is a label, write hltt:/],
  ['wait_here', 'wait_here', /no instruction/, /write wait_here:/],
  ['eax', 'eax', /is a register, not an instruction/, /instruction before/],
  ['mov eax, ebz', 'ebz', /'ebz' is not defined/, /label/],
  ['start: jmp strat', 'strat', /not defined/, /Did you mean start\?/],
  ['mov [ebx], 5', '[ebx]', /Operand size not specified/, /Write byte, word or dword/],
  ['push [ebx]', '[ebx]', /Operand size not specified/, /word or dword/],
  ['movzx eax, [ebx]', '[ebx]', /Operand size not specified/, /byte or word/],
  ['mov eax, bx', 'bx', /differ in size/, /movzx/],
  ['add eax, byte [ebx]', 'byte [ebx]', /differ in size/, /ADD/],
  ['mov eax, rax', 'rax', /only in 64-bit code/, /long64/],
  ['mov r8d, 1', 'r8d', /only in 64-bit code/, /long64/],
  ['mov [eax], [ebx]', '[ebx]', /Both operands are in memory/, /register/],
  ['mov 5, eax', '5', /cannot write to a number/, /\[/],
  ['mov eax', 'mov', /has 1 operand, not 2/, /MOV/],
  ['hlt 5', 'hlt', /has 1 operand, not 0/, /HLT/],
  ['mov cs, [ebx], 3', 'mov', /has 3 operands/, /MOV/],
  ['syscallx', 'syscallx', /no instruction/, /syscall/],
  ['swapgs', 'swapgs', /does not exist in 32-bit code/, /64-bit/],
  ['mov al, 0x123', '0x123', /0x123 does not fit into 8 bits/, /wider/],
  ['out 0x100, al', '0x100', /does not fit/, /./],
  ['dw 0x12345', '0x12345', /does not fit into 16 bits/, /dd/],
  ['a: times 200 nop\nloop a', 'a', /too far for a short jump/, /dec and jnz/],
  ['jmp short b\ntimes 200 nop\nb:', 'short b', /too far/, /near/],
  ['mov eax, [ebx+ecx+edx]', '[ebx+ecx+edx]', /two registers at most/, /lea/],
  ['mov eax, [ebx*7]', '[ebx*7]', /factors/, /1, 2, 4 or 8/],
  ['mov eax, [esp*2]', '[esp*2]', /esp cannot be an index/, /./],
  ['mov eax, [ebx+cx]', '[ebx+cx]', /differ in size/, /./],
  ['mov eax, [bx+cx]', '[bx+cx]', /16-bit address/, /si or di/],
  ['mov eax, [al]', '[al]', /al cannot be part of an address/, /./],
  ['mov eax, [ebx', '', /Expected ']'/, /./],
  ['mov eax, ebx ecx', 'ecx', /end of the line/, /./],
  ['mov eax, (1', '', /Expected '\)'/, /./],
  ['mov eax, 1 +', '', /Expected a number, a register or a name, but the line ends/, /./],
  ['mov eax, ebx + 1', 'ebx + 1', /only in an address/, /lea/],
  ['mov eax, 1 << ebx', '<<', /cannot be applied to the register/, /./],
  ['mov eax, 5 / 0', '/', /Division by zero/, /./],
  ['mov eax, dword ptr [ebx]', 'ptr', /'ptr' is not NASM's/, /Leave it out/],
  ['mov eax, offset x', 'offset', /'offset' is not NASM's/, /./],
  ['mov eax, es:[ebx]', '[', /Expected/, /inside the brackets/],
  ['mov eax, 4[ebx]', '[', /Expected/, /in the brackets/],
  ['loop: nop', 'loop', /an instruction, and cannot be a label/, /\.loop/],
  ['eax: nop', 'eax', /a register, and cannot be a label/, /./],
  ['a:\na:', 'a', /defined twice/, /line 1/],
  ['equ 5', 'equ', /equ needs a name/, /name equ value/],
  ['times 3', '', /something to repeat/, /times 4 nop/],
  ['times -1 nop', '-', /count is -1/, /./],
  ['times 2000000 nop', '2000000', /count/, /./],
  ['resb 1 << 40', '<<', /count/, /./],
  ['times 1000000 dq 1', 'times', /grows beyond/, /./],
  ['rep', '', /instruction behind the prefix/, /rep movsb/],
  ['lock lock inc dword [ebx]', 'lock', /Two prefixes/, /./],
  ['a16 mov eax, [ebx]', '[ebx]', /a16 contradicts the 32-bit registers/, /Leave it out/],
  ['o16 mov eax, ebx', 'mov', /and o16/, /Leave the prefix out/],
  ['fs mov eax, [gs:0]', '[gs:0]', /Two segments/, /Leave out fs or gs/],
  ['mov eax, far [ebx]', 'eax', /no form/, /MOV/],
  ['test 5, byte [ebx]', '5', /cannot write to a number/, /./],
  ['align 0', '0', /aligned to 0/, /./],
  ['bits 33', '33', /no kind of code/, /bits 32/],
  ['org eax', 'eax', /not an address/, /./],
  ['org x\nx:', 'x', /not defined/, /./],
  ['a equ b\nb equ a + 1', 'a', /do not settle/, /circle/],
  ['section .text', 'section', /not supported/, /one section/],
  ['incbin "x"', 'incbin', /not supported/, /Interpolate/],
  ["db 'abc", "'abc", /no end/, /Close it/],
  ['mov eax, 0xg', '0xg', /not a number/, /./],
  ['mov eax, 0ff', '0ff', /not a number/, /0x0ff or 0ffh/],
  ['mov eax, 0x10000000000000000', '0x10000000000000000', /not a number/, /64 bits/],
  ['dd 1.5', '1.5', /not a number/, /floating/],
  ['mov eax, #5', '#', /no meaning/, /semicolon/],
  ['x = 5', '=', /no meaning/, /name equ value/],
  ['mov eax, {x}', '{', /no meaning/, /dollar/],
  ['mov eax, \u{1f600}', '\u{1f600}', /no meaning/, /./],
  [`mov eax, ${'('.repeat(5000)}1`, '(', /nested too deeply/, /./],
  [`mov eax, 1${' + 1'.repeat(5000)}`, '+', /nested too deeply/, /./],
  ["mov eax, '123456789'", "'123456789'", /at most 8 bytes/, /db/],
  ['pop cs', 'cs', /8086/, /far jump/],
  ['bswap ax', 'ax', /undefined/, /rol ax, 8/],
  ['out 0x3f8, al', '0x3f8', /does not fit/, /mov dx, 0x3f8/],
];

/** What people paste from elsewhere: the reason names the dialect, the advice is NASM. */
const pasted: typeof cases = [
  ['%define PORT 0x10', '%define', /NASM's preprocessor/, /NAME equ value/],
  ['  %macro twice 1', '%macro', /NASM's preprocessor/, /function/],
  ['%include "x"', '%include', /NASM's preprocessor/, /Interpolate/],
  ['%rep 4', '%rep', /NASM's preprocessor/, /times/],
  ['%ifndef PORT', '%ifndef', /NASM's preprocessor/, /condition/],
  ['#define PORT 0x10', '#define', /C's preprocessor/, /equ/],
  ['.code32', '.code32', /directive of GAS/, /^Write: bits 32\.$/],
  ['.intel_syntax noprefix', '.intel_syntax', /directive of GAS/, /^Leave it out/],
  ['.globl main', '.globl', /directive of GAS/, /^Leave it out/],
  ['.text', '.text', /directive of GAS/, /^Leave it out/],
  ['.byte 0x90', '.byte', /directive of GAS/, /db/],
  ['count: .long 5', '.long', /directive of GAS/, /dd/],
  ['.386', '.386', /directive of MASM/, /Leave it out/],
  ['assume ds:x', 'assume', /directive of MASM/, /Leave it out/],
  ['movl $5, %ecx', '$5', /AT&T/, /destination first/],
  ['add %esi, %edi', '%esi', /AT&T/, /destination first/],
  ['mov 8(%ebx), %edx', '8(%', /AT&T/, /destination first/],
  ['outb %al, $0x20', '%al', /AT&T/, /destination first/],
  ['outb 0x10, al', 'outb', /AT&T's name/, /^Write out,/],
  ['lretl', 'lretl', /AT&T's name/, /retf/],
  ['int $0x20', '$0x20', /AT&T/, /without \$/],
  ['vaddps xmm0, xmm1, xmm2', 'vaddps', /VEX or EVEX/, /bytes/],
  ['/* a comment */', '/*', /no comment/, /semicolon/],
  ['mov ebx, 1 // why', 'why', /not defined/, /Comments begin with a semicolon/],
  ['mov ebx, FEC00000h', 'FEC00000h', /not defined/, /0xFEC00000/],
  ['y: dd ?', '?', /not defined/, /resd/],
  ['db 3 dup (1)', 'dup', /not read here/, /times/],
  ['2: jmp 2b', '2', /label of GAS/, /\.l2:/],
  ['@@: jmp @b', '@b', /not defined/, /anonymous/],
  ['one: two: nop', 'two', /one label a line/, /two: on a line of its own/],
];

for (const [text, offending, reason, advice] of [...cases, ...pasted])
  test(`refused: ${JSON.stringify(text.slice(0, 50))}`, () => {
    const error = refused(text);
    assert.match(error.reason, reason);
    assert.match(error.advice, advice);
    assert.equal(error.text, offending);
    assert.equal(error.excerpt.split('\n').length, 2);
  });

test('refused in 64-bit code', () => {
  assert.match(refused('add rax, 0xfee00000', 64).advice, /mov takes 64 bits/);
  assert.match(refused('push eax', 64).reason, /no form with these operands in 64-bit code/);
  assert.match(refused('mov ax, [bx]', 64).reason, /16-bit address is not possible in 64-bit code/);
  assert.match(refused('mov eax, [rip + 5]', 64).advice, /\[rel label\]/);
  assert.match(refused('jmp 0x08:0', 64).reason, /no form/);
  for (const text of ['mov ch, r9b', 'mov [r9], ah', 'add ah, sil', 'movzx rax, bh'])
    assert.match(refused(text, 64).reason, /cannot be used together with/);
  assert.match(refused('jmp ax', 64).reason, /no form/);
  assert.match(refused('pusha', 64).reason, /does not exist in 64-bit code/);
});

test('refused: a value that cannot be in a text', () => {
  for (const value of [undefined, null, 1.5, Number.NaN, {}, [1], Symbol('x'), () => 0, true]) {
    const what = assert.throws as (block: () => void, check: (error: unknown) => boolean) => void;
    what(
      () =>
        void asm.flat32`
        nop
        mov eax, ${value as number}`,
      (error) => error instanceof AsmError && error.line === 3 && error.column === 18,
    );
  }
  assert.match(refusedTemplate(() => asm.flat32`mov eax, ${Uint8Array.of(1)}`).advice, /line of their own/);
});

function refusedTemplate(make: () => unknown): AsmError {
  try {
    make();
  } catch (error) {
    if (error instanceof AsmError) return error;
  }
  throw new Error('nothing was refused');
}

// Whatever the text, there are two ends: bytes or an AsmError.
const words = fc.constantFrom(
  ...[
    'mov',
    'add',
    'jmp',
    'call',
    'rep',
    'lock',
    'times',
    'db',
    'dw',
    'dq',
    'equ',
    'org',
    'bits',
    'align',
    'resb',
    'push',
  ],
  ...[
    'eax',
    'ax',
    'al',
    'rax',
    'r9',
    'ds',
    'cr0',
    'xmm1',
    'st0',
    'esp',
    'byte',
    'dword',
    'qword',
    'far',
    'short',
    'strict',
    'rel',
  ],
  ...[
    '[',
    ']',
    '(',
    ')',
    ',',
    ':',
    '+',
    '-',
    '*',
    '/',
    '%',
    '<<',
    '>>',
    '~',
    '!',
    '&',
    '|',
    '^',
    '$',
    '$$',
    '//',
    '%%',
    ';',
    "'",
    '`',
  ],
  ...[
    '0',
    '1',
    '-1',
    '0x80',
    '255',
    '0xffffffff',
    '0x123456789abcdef0',
    '8',
    '32',
    '16',
    "'abc'",
    'x',
    '.x',
    'y',
    'x:',
    'o16',
    'a32',
  ],
  ...[
    '\n',
    '\n',
    '\n',
    'in',
    'out',
    'imul',
    'shl',
    'movzx',
    'lea',
    'loop',
    'xchg',
    'enter',
    'fs',
    'movsd',
    'cmpsd',
    'loope',
    'nosplit',
  ],
);
const soup = fc.array(fc.oneof({ weight: 12, arbitrary: words }, fc.string({ maxLength: 4, unit: 'grapheme' })), {
  maxLength: 25,
});
const bits = fc.constantFrom(16 as const, 32 as const, 64 as const);

function endsWell(text: string, mode: 16 | 32 | 64, origin: number): void {
  try {
    const code = assemblers[mode](text).at(origin);
    assert.ok(code.bytes instanceof Uint8Array);
    code.listing();
  } catch (error) {
    if (!(error instanceof AsmError)) throw new Error(`${JSON.stringify(text)}: ${String(error)}`, { cause: error });
    assert.ok(error.line >= 1 && error.column >= 1 && error.advice.length > 0 && error.reason.length > 0);
  }
}

test('any soup of words is assembled or refused', () => {
  const origins = fc.constantFrom(0, 0x1000, 0x11000, 2 ** 40);
  fc.assert(
    fc.property(soup, bits, origins, (tokens, mode, origin) => endsWell(tokens.join(' '), mode, origin)),
    { numRuns: 3000 },
  );
});

test('any text is assembled or refused', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200, unit: 'binary' }), bits, (text, mode) => endsWell(text, mode, 0)),
    { numRuns: 1000 },
  );
});

test('a corpus line with other operands, in another mode, is assembled or refused', () => {
  const lines = ([16, 32, 64] as const).flatMap(corpus);
  const pieces = lines.map((line) => /^(\S+)\s*(.*)$/.exec(line)!);
  const mixed = fc.tuple(fc.constantFrom(...pieces), fc.constantFrom(...pieces), bits);
  fc.assert(
    fc.property(mixed, ([first, second, mode]) =>
      endsWell(`start: end: .here: .next: x:\n${first[1]} ${second[2]}`, mode, 0),
    ),
    { numRuns: 3000 },
  );
});
