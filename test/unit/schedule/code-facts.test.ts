/** What a step of one instruction touches. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kvmRegs } from '../../../lib/abi/kvm/index.ts';
import { RUN_SYNC_REGS_OFFSET } from '../../../lib/abi/kvm/kvm-run.ts';
import { asm } from '../../../lib/index.ts';
import { codeFacts, type StepFacts } from '../../../lib/schedule/vm/code-facts.ts';

const ORIGIN = 0x1000;
const MEMORY = 0x10_0000;

function factsOf(
  text: string,
  mode: 'flat32' | 'long64' = 'flat32',
): { facts: ReadonlyMap<number, StepFacts>; points: number[] } {
  const code = asm[mode](text).stepped().at(ORIGIN);
  const points = code.instructions().flatMap(({ address, bytes }) => (bytes[0] === 0xe6 ? [address] : []));
  return { facts: codeFacts({ mode, bytes: code.bytes, origin: ORIGIN, free: 0x2000, memoryEnd: MEMORY }), points };
}

function run(regs: Partial<Record<keyof typeof kvmRegs.fields, bigint>> = {}): DataView {
  const view = new DataView(new ArrayBuffer(RUN_SYNC_REGS_OFFSET + kvmRegs.size));
  for (const [name, value] of Object.entries(regs))
    view.setBigUint64(RUN_SYNC_REGS_OFFSET + kvmRegs.fields[name as 'rip'].offset, value, true);
  return view;
}

/** Of the first instruction, which another one follows. */
function first(text: string, view = run(), mode: 'flat32' | 'long64' = 'flat32') {
  const { facts, points } = factsOf(`${text}\nnop\nnop`, mode);
  return facts.get(points[0]!)?.touches(view);
}

test('registers alone', () => {
  for (const text of ['mov eax, 1', 'inc ecx', 'lea eax, [ebx + 4]', 'test al, al', 'xor edx, edx', 'pause'])
    assert.deepEqual(first(text), { memory: [], apic: false }, text);
});

test('memory, by an address and by registers', () => {
  const at = (from: number, size: number, writes: boolean) => ({
    memory: [{ from, to: from + size, writes }],
    apic: false,
  });
  assert.deepEqual(first('mov eax, [0x2000]'), at(0x2000, 4, false));
  assert.deepEqual(first('mov [0x2000], al'), at(0x2000, 1, true));
  assert.deepEqual(first('lock inc dword [0x2000]'), at(0x2000, 4, true));
  assert.deepEqual(first('cmp word [ebx + ecx*4 + 8], 1', run({ rbx: 0x3000n, rcx: 2n })), at(0x3010, 2, false));
  assert.deepEqual(first('mov [ebx - 4], eax', run({ rbx: 0x3000n })), at(0x2ffc, 4, true));
  assert.deepEqual(first('mov [rbx + r9], rax', run({ rbx: 0x3000n, r9: 8n }), 'long64'), at(0x3008, 8, true));
});

test('the local APIC; and what is neither', () => {
  assert.deepEqual(first('mov dword [0xfee00300], 0x4040'), { memory: [], apic: true });
  assert.deepEqual(first('mov eax, [ebx]', run({ rbx: 0xfee0_0020n })), { memory: [], apic: true });
  assert.equal(first('mov eax, [0xfec00000]'), null);
  assert.equal(first(`mov eax, [${MEMORY - 2}]`), null);
  assert.equal(first('mov [0x1ffc], eax'), null, 'code and stacks lie there');
  assert.notEqual(first('mov eax, [0x1ffc]'), null);
});

test('nothing is said of others', () => {
  for (const text of [
    'cli',
    'sti',
    'hlt',
    'wrmsr',
    'rdtsc',
    'cpuid',
    'in al, 0x20',
    'out 0x20, al',
    'push eax',
    'popfd',
    'call 0x1000',
    'int 0x40',
  ])
    assert.equal(first(text), undefined, text);
  for (const text of ['mov esp, eax', 'add esp, 4', 'mov eax, cr0', 'mov eax, [fs:0]', 'rep stosb', 'mov ax, ds'])
    assert.equal(first(text), undefined, text);
});

test('where it comes to: behind it, where it jumps to, or both', () => {
  const { facts, points } = factsOf('again: nop\njnz again\njmp again\nnop');
  const [a, b, c, d] = points as [number, number, number, number];
  assert.deepEqual(facts.get(a)!.next, [b]);
  assert.deepEqual(facts.get(b)!.next, [c, a]);
  assert.deepEqual(facts.get(c)!.next, [a]);
  assert.equal(facts.get(d), undefined, 'behind it there is none');
});

test('of a program that loads a segment nothing is known', () => {
  assert.equal(factsOf('mov eax, [0x2000]\nmov ds, ax\nnop\nnop').facts.size, 0);
});
