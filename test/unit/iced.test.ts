import assert from 'node:assert/strict';
import { test } from 'node:test';
import { iced, withIced } from '../../lib/guest/asm/iced.ts';
import { asm } from '../../lib/index.ts';

/** (module (func (export "trap") unreachable)) */
const trapping = Uint8Array.of(
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
  ...[1, 4, 1, 0x60, 0, 0],
  ...[3, 2, 1, 0],
  ...[7, 8, 1, 4, ...new TextEncoder().encode('trap'), 0, 0],
  ...[10, 5, 1, 3, 0, 0, 0x0b],
);
/** What the types of Node.js 20 do not declare. */
interface Wasm {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { exports: { trap(): void } };
  RuntimeError: new () => Error;
}
const wasm = (globalThis as unknown as { WebAssembly: Wasm }).WebAssembly;
const trap = () => new wasm.Instance(new wasm.Module(trapping)).exports.trap();

test('a trap in the library costs its instance, not the work', () => {
  const seen: unknown[] = [];
  const answer = withIced((library) => {
    seen.push(library);
    if (seen.length === 1) trap();
    return new library.Decoder(32, Uint8Array.of(0x90), library.DecoderOptions.None).decode().length;
  });
  assert.equal(answer, 1);
  assert.equal(seen.length, 2);
  assert.notEqual(seen[0], seen[1]);
  assert.equal(iced(), seen[1]);
  assert.deepEqual([...asm.flat32`nop`.bytes], [0x90]);
});

test('what traps again, or is no trap, comes out', () => {
  let calls = 0;
  const always = () =>
    withIced(() => {
      calls += 1;
      trap();
    });
  assert.throws(always, wasm.RuntimeError);
  assert.equal(calls, 2);
  const other = new Error('no trap');
  assert.throws(
    () =>
      withIced(() => {
        throw other;
      }),
    other,
  );
});
