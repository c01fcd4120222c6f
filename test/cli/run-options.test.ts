import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { jsonLines, kvmDsm, root } from '../support/command.ts';

const script = 'test/cli/scripts/random.ts';
const choices = (text: string) => [...text.matchAll(/choice (\d+)/g)].map(([, choice]) => choice);

test('the same seed makes the same choices, another seed makes others', () => {
  const [one, same, other] = ['7', '0x7', '8'].map((seed) =>
    choices(kvmDsm(['run', script, '--on', 'host', '--seed', seed]).stderr),
  );
  assert.equal(one!.length, 1);
  assert.deepEqual(same, one);
  assert.notDeepEqual(other, one);
});

test('--repeat stops at the first failure, and its seed repeats that run alone', () => {
  const { code, stdout, stderr } = kvmDsm(['run', script, '--on', 'host', '--repeat', '200', '--seed', '11', '--json']);
  assert.equal(code, 1);
  const lines = jsonLines(stdout);
  const runs = lines.filter(({ type }) => type === 'run');
  assert.equal(new Set(runs.map(({ seed }) => seed)).size, runs.length);
  assert.ok(runs.length > 1 && runs.slice(0, -1).every(({ ok }) => ok === true), stdout);
  const { type, ok, runs: count, seed } = lines.at(-1)!;
  assert.deepEqual([type, ok, count, seed], ['result', false, runs.length, runs.at(-1)!.seed]);

  const again = kvmDsm(['run', script, '--on', 'host', '--seed', String(seed)]);
  assert.equal(again.code, 1);
  assert.deepEqual(choices(again.stderr), choices(stderr).slice(-1));
  assert.match(again.stdout, new RegExp(`to repeat it: kvm-dsm run --seed ${seed} ${script} --on host\n`));
});

test('a thousand runs cost the memory and the files of a hundred', () => {
  const { code, stdout, stderr } = kvmDsm(['run', 'test/cli/scripts/memory.ts', '--on', 'host', '--repeat', '1000']);
  assert.equal(code, 0, stdout);
  const [early, late] = [...stderr.matchAll(/run \d+ (\d+) (\d+)/g)].map(([, heap, files]) => [
    Number(heap),
    Number(files),
  ]);
  // One run's modules hold 80 KB.
  assert.ok(late![0]! - early![0]! < 4e6, stderr);
  assert.ok(late![1]! <= early![1]!, stderr);
});

for (const [what, args] of [
  ['a seed beyond 32 bits', ['--seed', '4294967296']],
  ['a seed that is no number', ['--seed', 'x']],
  ['no runs', ['--repeat', '0']],
  ['a watch with --json', ['--watch', '--json']],
] as const)
  test(`${what} is a usage error`, () => {
    const { code, stdout, stderr } = kvmDsm(['run', script, '--on', 'host', ...args]);
    assert.equal(code, 2, stdout + stderr);
    assert.doesNotMatch(stderr, /choice/);
  });

test('--watch runs again after a change, a failure and a syntax error, and ends by SIGINT', {
  timeout: 60_000,
}, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'kvm-dsm-watch-'));
  const neighbour = (text: string) => writeFileSync(join(directory, 'neighbour.ts'), text);
  neighbour("export const word = 'first';");
  writeFileSync(
    join(directory, 'mine.ts'),
    "import { word } from './neighbour.ts'; if (word === 'bad') throw new Error('it is bad'); console.log(word);",
  );
  const child = spawn(
    process.execPath,
    [`${root}dist/cli/main.js`, 'run', join(directory, 'mine.ts'), '--on', 'host', '--watch'],
    {
      env: { ...process.env, NODE_OPTIONS: '' },
    },
  );
  let text = '';
  const seen = (word: RegExp) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (!word.test(text)) return;
        text = '';
        resolve();
      };
      child.stdout.on('data', look);
      look();
    });
  child.stderr.on('data', (bytes) => {
    text += bytes;
  });
  child.stdout.on('data', (bytes) => {
    text += bytes;
  });
  try {
    await seen(/first\n[\s\S]*waiting for a change/);
    neighbour("export const word = 'bad';");
    await seen(/it is bad[\s\S]*waiting for a change/);
    neighbour('export const = 5;');
    await seen(/neighbour\.ts:1[\s\S]*waiting for a change/);
    neighbour("export const word = 'last';");
    await seen(/last\n[\s\S]*waiting for a change/);
    const ended = new Promise((resolve) => child.on('exit', resolve));
    child.kill('SIGINT');
    assert.equal(await ended, 0);
  } finally {
    child.kill('SIGKILL');
    rmSync(directory, { recursive: true });
  }
});
