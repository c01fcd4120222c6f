import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { asm, bytesAt, disassemble, flat32, hlt, ipi, repeat, waitUntil } from '../../../lib/index.ts';
import { hex } from '../../support/asm-corpus.ts';
import { errorOf } from '../../support/host.ts';

test('a template becomes code for one mode', () => {
  const code = asm.flat32`
    mov dword [0xfee00310], 0x01000000   ; ICR2
    mov dword [0xfee00300], 0x000040f0   ; ICR
    out 0x10, al
  `;
  assert.equal(code.mode, 'flat32');
  assert.equal(hex(code.bytes), 'c7051003e0fe00000001c7050003e0fef0400000e610');
  assert.equal(hex(asm.real16`mov eax, 1`.bytes), '66b801000000');
  assert.equal(hex(asm.long64`mov eax, 1`.bytes), 'b801000000');
});

test('labels have the address that the code is assembled for', () => {
  const code = asm.flat32`
    main: mov eax, .data
          jmp .end
    .data dd main, .end
    .end: hlt
  `;
  assert.equal(code.origin, 0n);
  assert.equal(hex(code.bytes), `b807000000${'eb08'}${'00000000'}${'0f000000'}f4`);
  const there = code.at(0x11000);
  assert.equal(there.origin, 0x11000n);
  assert.equal(there.label('main'), 0x11000n);
  assert.equal(there.label('main.end'), 0x1100fn);
  assert.equal(hex(there.bytes), `b807100100${'eb08'}${'00100100'}${'0f100100'}f4`);
  assert.deepEqual([...there.labels.keys()], ['main', 'main.data', 'main.end']);
  assert.equal(code.at(0x11000n), there);
  assert.equal(code.at(0), code);
});

test('a label that is not there', () => {
  const { code, advice } = errorOf(() => asm.flat32`start: hlt`.label('strat'));
  assert.deepEqual({ code, advice }, { code: 'ERR_ARGUMENT', advice: 'Did you mean start?' });
});

test('an address that is none', () => {
  for (const address of [-1, 1.5, Number.NaN, -1n, 1n << 64n])
    assert.equal(errorOf(() => asm.flat32`hlt`.at(address)).code, 'ERR_ARGUMENT');
});

test('org says where the code belongs, and it cannot be moved', () => {
  const code = asm.real16`
    org 0x7c00
    start: jmp start`;
  assert.equal(code.origin, 0x7c00n);
  assert.equal(code.label('start'), 0x7c00n);
  assert.equal(code.at(0x7c00), code);
  assert.match(errorOf(() => code.at(0x1000)).message, /lies at 0x7c00, but it is to lie at 0x1000/);
});

test('numbers, bigints, text, bytes and code in a template', () => {
  const port = 0x10;
  const inner = asm.flat32`inner: mov eax, inner`;
  const code = asm.flat32`
    mov eax, ${-5}
    mov ebx, ${0xfee0_0300n} + 4
    mov ${'ecx'}, 1
    out ${port}, al
    ${Uint8Array.of(1, 2)}
    db 9, ${Uint8Array.of(3)}, 4
    ${inner}
    ${flat32(hlt)}
  `.at(0x1000);
  assert.equal(
    hex(code.bytes),
    ['b8fbffffff', 'bb0403e0fe', 'b901000000', 'e610', '0102', '090304', 'b816100000', 'f4'].join(''),
  );
  assert.equal(hex(asm.flat32`times 2 ${Uint8Array.of(7)}`.bytes), '0707');
});

test('code of another mode needs its bits directive', () => {
  const inner = asm.real16`mov ax, 1`;
  assert.match(errorOf(() => asm.flat32`${inner}`).message, /16-bit code in 32-bit code/);
  assert.equal(
    hex(
      asm.flat32`
    bits 16
    ${inner}`.bytes,
    ),
    'b80100',
  );
});

test('the whole text as a string', () => {
  assert.equal(hex(asm.flat32('a: jmp a').bytes), 'ebfe');
});

test('backslashes are what they are; a backtick is written with one before it', () => {
  assert.equal(hex(asm.flat32`db '\n', \`a\n\``.bytes), '5c6e610a');
});

test('an address that only its place decides', () => {
  const code = asm.flat32`jmp short 0x1010`;
  assert.equal(hex(code.at(0x1000).bytes), 'eb0e');
  assert.match(errorOf(() => code.bytes).message, /too far for a short jump/);
});

test('a physical address above 2 GiB in 64-bit code is what is written, never its sign extension', () => {
  const [line] = disassemble(asm.long64`mov dword [0xfee00300], 1`.bytes, { mode: 'long64' });
  assert.equal(line?.text, 'mov dword [a32 0xfee00300], 1');
  assert.match(errorOf(() => asm.long64`mov eax, [rbx + 0xfee00300]`).message, /does not fit into 32 bits/);
  assert.match(errorOf(() => asm.long64`mov dword [0x123456789a], 1`).advice, /qword address/);
});

test('o32 before a branch in 16-bit code makes the whole branch 32 bits wide', () => {
  assert.equal(hex(asm.real16`a: o32 call a`.bytes), '66e8faffffff');
  assert.equal(hex(asm.real16`a: o32 jmp a`.bytes), '66ebfd');
});

test('labels and $ in every sum, as the address is known', () => {
  const code = asm.flat32`
    handler: dw handler & 0xffff, handler >> 16
             dd handler * 2, -handler & 0xff
    here:    dd $ - handler, $$`.at(0x12340);
  assert.equal(hex(code.bytes), '40230100' + '80460200' + 'c0000000' + '0c000000' + '40230100');
});

test('a listing: line, address, bytes, text', () => {
  const code = asm.flat32`
    start:
      mov dword [${0xfee0_0310}], 1 << 24 ; send

      db ${Uint8Array.of(1)}
    x equ 5
  `.at(0x1000);
  assert.equal(
    code.listing(),
    [
      '   2                                         start:',
      '   3  00001000  c7 05 10 03 e0 fe 00 00        mov dword [0xfee00310], 1 << 24 ; send',
      '      00001008  00 01',
      '   4',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the listing shows where a value was
      '   5  0000100a  01                             db ${...}',
      '   6                                         x equ 5',
    ].join('\n'),
  );
});

test('a listing has addresses and values in hexadecimal, those of snippets as well', () => {
  const code = asm.flat32`
    ${ipi({ to: 1, vector: 0xf0 })}
    ${waitUntil(0x2c3c0, 1)}
    ${repeat(100, 'nop')}`;
  const listing = code.at(0x1000).listing();
  assert.match(listing, / mov dword \[0xfee00310\], 0x1000000$/m);
  assert.match(listing, / mov dword \[0xfee00300\], 0x40f0$/m);
  assert.match(listing, / cmp dword \[0x2c3c0\], 1$/m);
  assert.match(listing, / mov esi, 0x64$/m);
});

test('raw bytes and a flat binary file', () => {
  assert.deepEqual(asm.bytes(Uint8Array.of(0xf4), 'real16'), { mode: 'real16', bytes: Uint8Array.of(0xf4) });
  assert.equal(bytesAt(asm.bytes(Uint8Array.of(0xf4)), 0x1000)[0], 0xf4);
  assert.equal(errorOf(() => asm.bytes(new Uint8Array())).code, 'ERR_PAYLOAD_EMPTY');
  assert.equal(errorOf(() => asm.bytes(Uint8Array.of(1), 'real32' as 'real16')).code, 'ERR_ARGUMENT');
  const dir = mkdtempSync(join(tmpdir(), 'kvm-dsm-asm-'));
  try {
    const path = join(dir, 'payload.bin');
    writeFileSync(path, Uint8Array.of(0xeb, 0xfe));
    assert.equal(hex(asm.file(path, 'long64').bytes), 'ebfe');
    assert.equal(hex(asm.file(pathToFileURL(path)).bytes), 'ebfe');
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('a disassembly has addresses, bytes and text', () => {
  const lines = disassemble(Uint8Array.of(0xc7, 5, 0, 3, 0xe0, 0xfe, 0xf0, 0x40, 0, 0, 0xeb, 0xfe, 0x0f), {
    origin: 0x1000,
  });
  assert.deepEqual(
    lines.map(({ address, bytes, text }) => [address, hex(bytes), text]),
    [
      [0x1000n, 'c7050003e0fef0400000', 'mov dword [0xfee00300], 0x40f0'],
      [0x100an, 'ebfe', 'jmp short 0x100a'],
      [0x100cn, '0f', 'db 0x0f'],
    ],
  );
  assert.equal(disassemble(new Uint8Array(10).fill(0x90), { count: 3 }).length, 3);
  assert.deepEqual(disassemble(new Uint8Array()), []);
  const high = disassemble(Uint8Array.of(0xeb, 0xfe), { mode: 'long64', origin: 0xffff_ffff_8000_0000n });
  assert.equal(high[0]?.text, 'jmp short 0xffffffff80000000');
});

test('a disassembly of nothing sensible', () => {
  const bytes = Uint8Array.of(0xf4);
  for (const options of [{ origin: -1 }, { origin: 0.5 }, { mode: 'flat64' as 'flat32' }])
    assert.equal(errorOf(() => disassemble(bytes, options)).code, 'ERR_ARGUMENT');
});

test('what is neither text nor code is refused by name', () => {
  const odd = [5, null, undefined, Symbol('x'), {}, [], ['hlt']] as never[];
  for (const value of odd) {
    assert.equal(errorOf(() => asm.flat32(value)).code, 'ERR_ARGUMENT');
    assert.equal(errorOf(() => asm.bytes(value)).code, 'ERR_ARGUMENT');
    assert.equal(errorOf(() => asm.file(value)).code, 'ERR_ARGUMENT');
    assert.equal(errorOf(() => bytesAt(value, 0)).code, 'ERR_ARGUMENT');
    assert.equal(errorOf(() => disassemble(value)).code, 'ERR_ARGUMENT');
  }
  for (const mode of [Symbol('flat32'), Object.create(null), 'toString'] as never[])
    assert.equal(errorOf(() => disassemble(hlt, { mode })).code, 'ERR_ARGUMENT');
  for (const count of [-1, 0.5, '1'] as never[])
    assert.equal(errorOf(() => disassemble(hlt, { count })).code, 'ERR_ARGUMENT');
});

test('code that cannot lie at 0 is asked for the bytes of its own place alone', () => {
  const code = asm.flat32`
here: db here - 0xff0
`;
  assert.equal(hex(bytesAt(code, 0x1000)), '10');
});
