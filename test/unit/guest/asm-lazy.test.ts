import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const script = `
  import { createRequire } from 'node:module';
  const { cache } = createRequire(process.cwd() + '/package.json');
  const loaded = () => Object.keys(cache).some((path) => path.includes('iced-x86'));
  const { asm, disassemble, flat32, hlt } = await import('./lib/index.ts');
  flat32(hlt);
  asm.bytes(Uint8Array.of(0xf4));
  const before = loaded();
  disassemble(Uint8Array.of(0xf4));
  console.log(JSON.stringify([before, loaded()]));
`;

test('the instruction tables are loaded by the first use, not by the package', () => {
  const cwd = fileURLToPath(new URL('../../..', import.meta.url));
  const args = ['--import', 'tsx', '--input-type=module', '-e', script];
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd, encoding: 'utf8' });
  assert.deepEqual(stdout.trim(), '[false,true]', stderr);
});
