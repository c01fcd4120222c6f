// `kvm-dsm check`: the types of scripts, in a project and without one.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { jsonLines, kvmDsm } from '../support/command.ts';

const folder = mkdtempSync(join(tmpdir(), 'kvm-dsm-check-'));
after(() => rmSync(folder, { recursive: true }));

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const good = write(
  'good.ts',
  `import { asm, done, machine } from 'kvm-dsm';
import { EventFd } from 'kvm-dsm/kvm';
await using m = await machine();
m.vcpu(0).program(asm.flat32\`\${done()}\`);
await m.run({ until: 'done' });
export const fd: EventFd | null = null;
`,
);
const bad = write(
  'bad.ts',
  `import { machine } from 'kvm-dsm';
await using m = await machine({ vcpu: 2 });
await m.run({ until: { sinc: 'x' } });
`,
);

test('a script whose types hold, one of a project of its own', () => {
  for (const script of [good, 'examples/handled.ts']) {
    const { code, stdout, stderr } = kvmDsm(['check', script]);
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /^ok: 1 script, by TypeScript \d/);
  }
});

test('errors are told with their places, and the exit code is 1', () => {
  const { code, stdout } = kvmDsm(['check', good, bad]);
  assert.equal(code, 1, stdout);
  assert.match(stdout, /bad\.ts\(2,33\): error TS\d+: .*'vcpu'/);
  assert.match(stdout, /bad\.ts\(3,24\): error TS\d+: .*'sinc'/);
  assert.match(stdout, /^not ok: 2 errors, by TypeScript/m);
});

test('as JSON it is one document', () => {
  const { code, stdout } = kvmDsm(['check', bad, '--json']);
  assert.equal(code, 1);
  const { version, ok, errors } = JSON.parse(stdout) as { version: number; ok: boolean; errors: { line: number }[] };
  assert.deepEqual([version, ok, errors.map(({ line }) => line)], [1, false, [2, 3]]);
});

const misspelt = write(
  'misspelt.ts',
  `import { asm, machine } from 'kvm-dsm';
await using m = await machine();
m.vcpu(0).program(asm.flat32\`
    moov eax, 1
    hlt\`);
await m.run();
`,
);

test('assembly that cannot be assembled is told as well', () => {
  const { code, stdout } = kvmDsm(['check', misspelt]);
  assert.equal(code, 1, stdout);
  assert.match(stdout, /misspelt\.ts\(4,5\): error ERR_ASM: .*'moov'[\s\S]*Did you mean mov/);
  assert.match(stdout, /^not ok: 1 error, by TypeScript/m);
});

test('a run in the lab ends with it before the boot, in text and in JSON', () => {
  // A cache that is empty stays so: nothing was made for a machine.
  const cache = join(folder, 'cache');
  const before = process.env.XDG_CACHE_HOME;
  process.env.XDG_CACHE_HOME = cache;
  try {
    const text = kvmDsm(['run', misspelt, '--on', 'svm']);
    assert.equal(text.code, 1);
    assert.match(text.stderr, /line 4, column 5: .*misspelt\.ts\).*\[ERR_ASM\]/);
    const { code, stdout } = kvmDsm(['run', misspelt, '--on', 'svm', '--json']);
    assert.equal(code, 1);
    const [{ type, ok, error }] = jsonLines(stdout) as [{ type: string; ok: boolean; error: { code: string } }];
    assert.deepEqual([type, ok, error.code], ['result', false, 'ERR_ASM']);
    assert.equal(existsSync(join(cache, 'kvm-dsm/media')), false);
  } finally {
    if (before === undefined) delete process.env.XDG_CACHE_HOME;
    else process.env.XDG_CACHE_HOME = before;
  }
});

test('a compiler that does not judge', () => {
  const broken = join(folder, 'broken');
  const own = join(broken, 'node_modules/typescript');
  mkdirSync(own, { recursive: true });
  writeFileSync(join(own, 'package.json'), '{"version":"5.9.0","bin":{"tsc":"tsc.cjs"}}');
  writeFileSync(join(own, 'tsc.cjs'), 'throw new Error("not installed whole")');
  writeFileSync(join(broken, 'a.ts'), 'export {};');
  const { code, stderr } = kvmDsm(['check', join(broken, 'a.ts')]);
  assert.equal(code, 1);
  assert.match(
    stderr,
    /^error: tsc ended with 1 and named no error: .*\[ERR_TYPESCRIPT_FAILED\]$[\s\S]*not installed whole/m,
  );
});

test('a script that is not there, and a compiler that takes too long', () => {
  assert.equal(kvmDsm(['check', join(folder, 'none.ts')]).code, 2);
  const { code, stderr } = kvmDsm(['check', good, '--timeout', '0.01']);
  assert.equal(code, 1);
  assert.match(stderr, /tsc did not end within 0\.01 s/);
});
