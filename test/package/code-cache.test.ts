/** The code that V8 has made of the library, kept for the next process: tools/bundle/code-cache.cjs. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../support/command.ts';
import { testFolder } from '../support/test-folder.ts';

const work = testFolder();
const library = join(root, 'dist/index.js');
const use = `import(${JSON.stringify(library)}).then(({ decodeIcr }) => console.log(decodeIcr(0x40f0).vector));`;
/** What a process does that finds nothing kept. */
const noReading = `require('node:zlib').brotliDecompressSync = () => { throw new Error('the parts are read'); };`;

let homes = 0;
const newHome = () => {
  const home = join(work, `home ${++homes}`);
  mkdirSync(home);
  return home;
};
const codeIn = (home: string) => join(home, '.cache/kvm-dsm/code');
const buildsIn = (home: string) => readdirSync(codeIn(home)).map((name) => join(codeIn(home), name));
const kitIn = (home: string) => join(buildsIn(home)[0]!, 'chunks.kit.js');

function run(env: NodeJS.ProcessEnv, code = use) {
  const { XDG_CACHE_HOME: _, HOME: __, NODE_DISABLE_COMPILE_CACHE: ___, ...others } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', code], {
    env: { ...others, NODE_OPTIONS: '', ...env },
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}
const works = { status: 0, stdout: '240\n', stderr: '' };

test('the first process keeps what V8 compiled, and the next one reads no part', () => {
  const home = newHome();
  assert.match(run({ HOME: home }, noReading + use).stderr, /the parts are read/);
  assert.deepEqual(run({ HOME: home }), works);
  assert.equal(buildsIn(home).length, 1);
  assert.ok(existsSync(kitIn(home)));
  assert.deepEqual(run({ HOME: home }, noReading + use), works);
});

test('XDG_CACHE_HOME says where, if it is absolute', () => {
  const [home, cache] = [newHome(), newHome()];
  assert.deepEqual(run({ HOME: home, XDG_CACHE_HOME: cache }), works);
  assert.ok(existsSync(join(cache, 'kvm-dsm/code')));
  assert.ok(!existsSync(codeIn(home)));
  assert.deepEqual(run({ HOME: home, XDG_CACHE_HOME: 'there' }), works);
  assert.ok(existsSync(codeIn(home)));
});

test('nothing is kept without a home, and with NODE_DISABLE_COMPILE_CACHE', () => {
  const home = newHome();
  assert.deepEqual(run({}), works);
  assert.deepEqual(run({ HOME: home, NODE_DISABLE_COMPILE_CACHE: '1' }), works);
  assert.deepEqual(readdirSync(home), []);
});

test('a home that cannot be written to is no failure', () => {
  const home = newHome();
  writeFileSync(join(home, '.cache'), 'a file');
  assert.deepEqual(run({ HOME: home }), works);
});

test('what is damaged is not taken, and made anew', () => {
  const home = newHome();
  run({ HOME: home });
  const whole = readFileSync(kitIn(home));
  const end = 4 + whole.readUInt32LE(0);
  for (const bytes of [
    Buffer.alloc(0),
    whole.subarray(0, 3),
    whole.subarray(0, end - 1),
    whole.subarray(0, end),
    whole.subarray(0, whole.length - 1000),
    Buffer.concat([whole.subarray(0, end), Buffer.alloc(whole.length - end)]),
  ]) {
    writeFileSync(kitIn(home), bytes);
    assert.deepEqual(run({ HOME: home }), works, `${bytes.length} bytes`);
    const anew = readFileSync(kitIn(home));
    assert.ok(!anew.equals(bytes), `${bytes.length} bytes`);
    assert.ok(Math.abs(anew.length - whole.length) < whole.length / 10, `${bytes.length} bytes`);
  }
});

test('nothing is taken from a folder into which others may write', () => {
  const home = newHome();
  run({ HOME: home });
  const text = 'throw new Error("foreign code");';
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  writeFileSync(kitIn(home), Buffer.concat([length, Buffer.from(text), Buffer.alloc(100)]));
  chmodSync(buildsIn(home)[0]!, 0o770);
  assert.deepEqual(run({ HOME: home }), works);
  // It would have been taken from one that is the user's alone.
  chmodSync(buildsIn(home)[0]!, 0o700);
  assert.match(run({ HOME: home }).stderr, /foreign code/);
});

test('another build of the library has a folder of its own, and the three last stay', () => {
  const home = newHome();
  run({ HOME: home });
  const [current] = buildsIn(home);
  for (const age of [10, 20, 30]) {
    const other = join(codeIn(home), `of ${age} seconds ago`);
    cpSync(current!, other, { recursive: true });
    const then = Date.now() / 1000 - age;
    utimesSync(other, then, then);
  }
  writeFileSync(kitIn(home), '');
  assert.deepEqual(run({ HOME: home }), works);
  assert.deepEqual(
    new Set(buildsIn(home)),
    new Set([current!, ...[10, 20].map((age) => join(codeIn(home), `of ${age} seconds ago`))]),
  );
});
