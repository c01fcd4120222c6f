// What is given as guest code and is none, code without an end, and where the data of real mode are.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { asm, done, initSipiSipi, KvmDsmError, machine } from '../../lib/index.ts';
import { errorOf, noKvm } from '../support/host.ts';

const options = { skip: noKvm };

/** Bytes of a header at its offsets, and `nop` everywhere else. */
function file(size: number, parts: Record<number, string | readonly number[]>): Uint8Array {
  const bytes = new Uint8Array(size).fill(0x90);
  for (const [at, part] of Object.entries(parts))
    bytes.set(typeof part === 'string' ? Buffer.from(part, 'latin1') : part, Number(at));
  return bytes;
}

const le32 = (...values: number[]) => [...new Uint8Array(Uint32Array.from(values).buffer)];
const checked = (...values: number[]) => le32(...values, -values.reduce((sum, value) => sum + value, 0));

const formats: [name: RegExp, bytes: Uint8Array][] = [
  [/an ELF executable/, file(64, { 0: '\x7fELF\x01\x01\x01', 16: [2, 0] })],
  [/an ELF object file/, file(64, { 0: '\x7fELF\x02\x01\x01', 16: [1, 0] })],
  [/an ELF executable/, file(64, { 0: '\x7fELF\x01\x02\x01', 16: [0, 2] })],
  [/an ELF file/, file(6, { 0: '\x7fELF' })],
  [/bzImage/, file(0x400, { 0: 'MZ', 510: [0x55, 0xaa], 514: 'HdrS' })],
  [/PE executable/, file(0x100, { 0: 'MZ', 60: le32(0x80), 128: 'PE\0\0' })],
  [/DOS executable/, file(0x200, { 0: 'MZ', 4: [1, 0], 8: [2, 0] })],
  [/Mach-O/, file(64, { 0: [0xcf, 0xfa, 0xed, 0xfe] })],
  [/archive of object files/, file(64, { 0: '!<arch>\n' })],
  [/a\.out/, file(0x80, { 0: le32(0o407, 0x40, 0x10, 0, 0) })],
  [/compressed file \(gzip\)/, new Uint8Array(gzipSync(file(100, {})))],
  [/compressed file \(xz\)/, file(64, { 0: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0] })],
  [/with a multiboot header/, file(0x100, { 16: checked(0x1bad_b002, 3) })],
  [/with a multiboot2 header/, file(0x100, { 8: checked(0xe852_50d6, 0, 24) })],
  [/boot sector, made for address 0x7c00/, file(512, { 510: [0x55, 0xaa] })],
  [/is a text,/, Buffer.from('start:\n  mov al, 1\n  hlt\n')],
  [/is a text,/, Buffer.from('#!nasm')],
  [/a text of hexadecimal digits/, Buffer.from('b8 01 00 00 00 f4\n')],
  [/Intel HEX/, Buffer.from(':0400000090909090BC\n:00000001FF\n')],
];

for (const [name, bytes] of formats)
  test(`not taken for machine code: ${name.source}`, () => {
    const error = errorOf(() => asm.bytes(bytes));
    assert.equal(error.code, 'ERR_PAYLOAD_FORMAT');
    assert.match(error.message, name);
    assert.match(error.advice ?? '', /interpolate/);
    // The way out that the advice names.
    assert.deepEqual(Buffer.from(asm.flat32`${bytes}`.bytes), Buffer.from(bytes));
  });

test('machine code that begins like a file of another kind is taken', () => {
  for (const bytes of [
    file(64, { 0: 'MZ' }),
    file(64, { 0: le32(0o407) }),
    file(64, { 0: [0x1f, 0x8b] }),
    file(0x100, { 16: le32(0x1bad_b002, 3, 5) }),
    file(600, { 510: [0x55, 0xaa] }),
    Buffer.from('UUUUUUUUUUUU'),
    Buffer.from('hlt\n'),
  ])
    assert.equal(asm.bytes(bytes).bytes.length, bytes.length);
});

test('asm.file says which file it is', () => {
  const dir = mkdtempSync(join(tmpdir(), 'kvm-dsm-code-'));
  try {
    const path = join(dir, 'kernel.flat');
    writeFileSync(path, file(64, { 0: '\x7fELF\x01\x01\x01', 16: [2, 0] }));
    assert.equal(errorOf(() => asm.file(path)).message, `${path} is an ELF executable, no flat machine code`);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('raw bytes of a program are looked at, and nothing is loaded', options, async () => {
  await using m = await machine();
  const elf = file(64, { 0: '\x7fELF\x01\x01\x01', 16: [2, 0] });
  assert.equal(errorOf(() => m.vcpu(0).program(elf)).code, 'ERR_PAYLOAD_FORMAT');
  assert.equal(m.vcpu(0).programmed, false);
});

async function failureOf(run: Promise<unknown>): Promise<KvmDsmError> {
  const error = await run.then(
    () => assert.fail('it ended well'),
    (caught: unknown) => caught,
  );
  assert.ok(error instanceof KvmDsmError, String(error));
  return error;
}

for (const mode of ['real16', 'flat32', 'long64'] as const) {
  const at = mode === 'real16' ? '0x4' : '0x1004';
  const wide = mode === 'long64' ? 'rax' : 'eax';

  test(`${mode}: a program without an end stops there, and changes nothing`, options, async () => {
    await using m = await machine();
    const before = Uint8Array.of(9, 8, 7, 6);
    m.memory.write(0x3000, before);
    m.vcpu(0).program(asm[mode]`
        mov al, 1
      last:
        out 0x10, al`);
    const { vcpu } = m.vcpu(0);
    vcpu.setRegs({ ...vcpu.getRegs(), rbx: 0x3000n, rsi: 0x3000n, rcx: 0x1234n });
    await m.run({ until: { port: 0x10 } });
    for (const until of [{ exits: 1 }, { exit: 'KVM_EXIT_IO' }, 'halted', { port: 0xe4 }] as const) {
      const error = await failureOf(m.run({ until, deadline: '20s' }));
      assert.equal(error.code, 'ERR_PROGRAM_END');
      assert.equal(error.message, `vCPU 0: ran past the end of its program, which is at ${at} (behind last)`);
    }
    assert.match(m.trace.toString(), /ran past the end of its program$/);
    assert.deepEqual(m.memory.read(0x3000, 4), before);
    assert.equal(vcpu.getRegs().rcx, 0x1234n);
  });

  test(`${mode}: an instruction that the end cuts off`, options, async () => {
    await using m = await machine();
    // mov eax, and none of its four bytes.
    m.vcpu(0).program(asm[mode]`
        xor ${wide}, ${wide}
        ${mode === 'real16' ? 'db 0x66, 0xb8' : 'db 0xb8'}`);
    assert.equal((await failureOf(m.run({ deadline: '20s' }))).code, 'ERR_PROGRAM_END');
  });
}

test('a program that fills its room has an end as well', options, async () => {
  await using m = await machine();
  m.vcpu(0).program(asm.flat32`
      jmp last
      times 0xd000 - 6 - ($ - $$) nop
    last:
      mov eax, 5
      nop`);
  assert.equal((await failureOf(m.run({ deadline: '20s' }))).code, 'ERR_PROGRAM_END');
});

test('the end of an AP that SIPI starts, and a program that ends before it', options, async () => {
  await using m = await machine({ vcpus: 2, apic: 'xapic' });
  const ap = m.vcpu(1).program(asm.real16`mov ax, 1`, { start: 'sipi' });
  m.vcpu(0).program(asm.flat32`${initSipiSipi(1, ap.sipiVector)}
    ${done()}`);
  const error = await failureOf(m.run({ until: { port: 0x99 }, deadline: '20s' }));
  assert.equal(error.message, 'vCPU 1: ran past the end of its program, which is at 0x3');
});

test('what stands behind the program that was there before is not run', options, async () => {
  await using m = await machine();
  m.vcpu(0).program(asm.flat32`
      times 64 nop
      out 0x20, al
      hlt`);
  m.vcpu(0).program(asm.flat32`nop`);
  assert.equal((await failureOf(m.run({ until: { port: 0x20 }, deadline: '20s' }))).code, 'ERR_PROGRAM_END');
});

test('a program of its own may write the port', options, async () => {
  await using m = await machine();
  m.vcpu(0).program(asm.flat32`
      out 0xe4, eax
      ${done()}`);
  const trace = await m.run({ until: { port: 0xe4 }, deadline: '20s' });
  assert.equal([...trace][0]?.word, undefined);
});

test('real16: labels are offsets in DS, ES and CS, as where they are written', options, async () => {
  await using m = await machine();
  m.vcpu(0).program(asm.real16`
      mov si, text
      mov dx, 0x3f8
    .next:
      mov al, [si]
      test al, al
      jz .copied
      out dx, al
      inc si
      jmp .next
    .copied:
      mov al, [es:text]
      out dx, al
      hlt
    text: db 'real mode', 0`);
  const trace = await m.run({ deadline: '20s' });
  const told = Buffer.concat(trace.named('KVM_EXIT_IO').map(({ exit }) => exit.data));
  assert.equal(told.toString(), 'real moder');
});

test('a jump to where no memory is', options, async () => {
  await using m = await machine();
  m.vcpu(0).program(asm.flat32`
      mov ecx, 0xc0000000
      jmp ecx`);
  const { message } = await failureOf(m.run({ deadline: '10s' }));
  assert.match(message, /^vCPU 0:? (it executes|is) at 0xc0000000, which is not in guest memory/);
});
