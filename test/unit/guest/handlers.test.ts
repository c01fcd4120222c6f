import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flat32Handlers, long64Handlers, readyCode, real16Handlers, stubOffset } from '../../../lib/guest/handlers.ts';
import { asm, disassemble } from '../../../lib/index.ts';

for (const [name, { mode, hex, text }] of Object.entries(readyCode))
  test(`${name}: the machine code is what its text says`, () => {
    assert.equal(Buffer.from(asm[mode](text).bytes).toString('hex'), hex.replace(/\s/g, ''));
  });

/** The mnemonics from a vector's stub to the first instruction behind its jump, and the vector that it pushes. */
async function stub(mode: 'real16' | 'flat32' | 'long64', handlers: Uint8Array, vector: number): Promise<string[]> {
  const lines: string[] = [];
  for (let at = stubOffset(mode, vector); ; ) {
    const [line] = await disassemble(handlers.subarray(at), { mode, origin: at, count: 1 });
    assert.ok(line);
    const jump = /^jmp (?:near |short )?(\S+)$/.exec(line.text);
    if (lines.length > 0 && lines.at(-1)!.startsWith('->')) return [...lines.slice(0, -1), line.text];
    if (jump) {
      at = Number(jump[1]);
      lines.push('->');
    } else {
      lines.push(line.text);
      at += line.bytes.length;
    }
  }
}

test('each stub pushes an error code where the CPU does not, pushes its vector, and goes to the right handler', async () => {
  for (const [mode, handlers] of [
    ['flat32', flat32Handlers(false)],
    ['flat32', flat32Handlers(true)],
    ['long64', long64Handlers()],
  ] as const) {
    const [count, fault] = mode === 'flat32' ? ['push eax', 'xchg eax,[esp]'] : ['push rax', 'xchg rax,[rsp]'];
    const see = async (vector: number) => (await stub(mode, handlers, vector)).join('; ').replaceAll(', ', ',');
    const withCode = [8, 10, 11, 12, 13, 14, 17, 21, 29, 30];
    for (let vector = 0; vector < 256; vector++) {
      const pushes = (await see(vector)).split('; ');
      const tail = vector === 2 || vector >= 32 ? count : fault;
      assert.equal(pushes.length, withCode.includes(vector) ? 2 : 3, `${mode} ${vector}: ${pushes}`);
      assert.equal(pushes.at(-1)!.replace('dword ', '').replace('qword ', ''), tail, `${mode} ${vector}`);
      assert.equal(Number(/push (?:strict )?(?:\w+ )?(\S+)/.exec(pushes.at(-2)!)![1]), vector, `${mode} ${vector}`);
    }
  }
});

test('real mode: every vector is told to the host', async () => {
  const handlers = real16Handlers();
  for (let vector = 0; vector < 256; vector++) {
    const lines = await stub('real16', handlers, vector);
    assert.equal(Number(/push (?:strict )?(?:\w+ )?(\S+)/.exec(lines[0]!)![1]), vector);
    assert.equal(lines.at(-1), 'push bp');
  }
});
