// Assembled payloads on this machine's KVM. Only code that is written here, never code made up at random.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AsmError, asm, type GuestCode, machine } from '../../lib/index.ts';
import { errorOf, noKvm } from '../support/host.ts';

test('the labels of a payload have the address that it lies at, on every vCPU', { skip: noKvm }, async () => {
  await using m = await machine({ vcpus: 2 });
  // Its data tell where it ran: a jump through a table, and the sum of a list.
  const code = asm.flat32`
    DONE equ 0x10
    start:
        jmp [table]
        hlt
    sum:
        xor eax, eax
        mov esi, list
        mov ecx, (list.end - list) / 4
    .next:
        add eax, [esi]
        add esi, 4
        loop .next
        mov [result], eax
        mov dword [result + 4], start
        out DONE, al
        hlt
    align 4
    table:  dd sum
    list:   dd 1, 20, 300, ${4000}
    .end:
    result: dq 0
  `;
  for (const { id, entry } of m.vcpus) {
    m.vcpu(id).program(code);
    assert.equal(code.at(entry).label('start'), BigInt(entry));
  }
  await m.run({ until: 'halted' });
  for (const { entry } of m.vcpus) {
    const result = Number(code.at(entry).label('result'));
    const bytes = m.memory.read(result, 8);
    const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
    assert.equal(view.getUint32(0, true), 4321);
    assert.equal(view.getUint32(4, true), entry);
  }
});

test('an exit is where the listing says', { skip: noKvm }, async () => {
  await using m = await machine();
  const code = asm.flat32`
        mov al, 0x5a
    report:
        out 0x10, al
    after:
        hlt
  `;
  const entry = m.vcpu(0).program(code).entry;
  const trace = await m.run({ until: { port: 0x10 } });
  const [exit] = [...trace];
  const placed = code.at(entry);
  assert.ok(exit && [placed.label('report'), placed.label('after')].includes(exit.rip));
});

test('code that cannot be loaded there', { skip: noKvm }, async () => {
  await using m = await machine();
  const misplaced = errorOf(() =>
    m.vcpu(0).program(asm.flat32`
    org 0x7c00
    hlt`),
  );
  assert.ok(misplaced instanceof AsmError);
  assert.match(misplaced.advice, /Leave org out/);
  const foreign = { mode: 'flat33', bytes: Uint8Array.of(0xf4) } as unknown as GuestCode;
  assert.match(errorOf(() => m.vcpu(0).program(foreign)).message, /"flat33" is no mode/);
  assert.equal(errorOf(() => m.vcpu(0).program(asm.flat32`; nothing`)).code, 'ERR_PAYLOAD_EMPTY');
});

test('raw machine code', { skip: noKvm }, async () => {
  await using m = await machine();
  m.vcpu(0).program(asm.bytes(Uint8Array.of(0xe6, 0x10, 0xf4)));
  const trace = await m.run({ until: { port: 0x10 } });
  assert.equal(trace.length, 1);
});
