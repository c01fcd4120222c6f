// `kvm-dsm init`: what it makes, that it holds, and that it writes nothing over.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { kvmDsm, root } from '../support/command.ts';
import { newProject } from '../support/new-project.ts';

const { folder, made, npm } = newProject();
after(() => rmSync(dirname(folder), { recursive: true }));
const read = (name: string): string => readFileSync(join(folder, name), 'utf8');

interface Manifest {
  name: string;
  scripts: Record<string, string>;
  devDependencies: Record<string, string>;
}

test('it makes four files, and says what comes next', () => {
  assert.equal(made.code, 0, made.stderr);
  assert.match(
    made.stdout,
    /package\.json, tsconfig\.json, ipi\.ts, \.github\/workflows\/ipi\.yml\nnext, .*: npm install/,
  );
  const { name, devDependencies } = JSON.parse(read('package.json')) as Manifest;
  assert.equal(name, 'my-tests');
  for (const [dependency, range] of Object.entries(devDependencies)) assert.match(range, /^[~^]\d/, dependency);
});

test('the types of its test hold', () => {
  const { code, stdout, stderr } = npm(['run', '-s', 'check'], 120);
  assert.equal(code, 0, stdout + stderr);
  assert.match(stdout, /^ok: 1 script/);
});

test('the workflow calls scripts that the project has, and commands that there are', () => {
  const { scripts } = JSON.parse(read('package.json')) as Manifest;
  const steps = [...read('.github/workflows/ipi.yml').matchAll(/^ +- run: (.*)$/gm)].map(([, step]) => step!);
  const called = steps.flatMap((step) => /^npm (?:run )?(check|test)\b/.exec(step)?.[1] ?? []);
  assert.deepEqual(called.sort(), Object.keys(scripts).sort());
  assert.ok(steps.includes('npm install'));
  assert.ok(steps.some((step) => step.endsWith('npx kvm-dsm lab build')));
});

test('the commands of the page on scripts are those that make it and that it has', () => {
  const page = readFileSync(join(root, 'docs/scripts.md'), 'utf8');
  const [, block] = /^## A project\n\n```\n([\s\S]*?)^```/m.exec(page)!;
  const [init, enter, ...rest] = block!.trimEnd().split('\n');
  assert.deepEqual([init, enter], ['npx kvm-dsm init ipi-tests', 'cd ipi-tests']);
  const { scripts } = JSON.parse(read('package.json')) as Manifest;
  // What test/lab/init.test.ts and the test above call.
  assert.deepEqual(rest, ['npm install', 'npm run check', 'npm test -- --on svm']);
  assert.deepEqual(Object.keys(scripts), ['check', 'test']);
});

test('a folder that has one of the files keeps it, and gets none', () => {
  const before = read('package.json');
  const again = kvmDsm(['init', folder]);
  assert.equal(again.code, 2);
  assert.match(
    again.stderr,
    /has package\.json, tsconfig\.json, ipi\.ts, \S+ already: nothing was written \[ERR_PROJECT_FOLDER\]/,
  );
  assert.equal(read('package.json'), before);
  const other = mkdtempSync(join(tmpdir(), 'kvm-dsm-init-'));
  try {
    writeFileSync(join(other, 'tsconfig.json'), '{}');
    const { code, stderr } = kvmDsm(['init', other]);
    assert.equal(code, 2);
    assert.match(stderr, /has tsconfig\.json already/);
    assert.deepEqual(readdirSync(other), ['tsconfig.json']);
  } finally {
    rmSync(other, { recursive: true });
  }
});

test('a folder that has other files is taken; one that cannot be written is told', () => {
  const other = mkdtempSync(join(tmpdir(), 'kvm-dsm-init-'));
  try {
    mkdirSync(join(other, '.git'));
    const { code, stdout } = kvmDsm(['init', other, '--json']);
    assert.equal(code, 0);
    assert.equal((JSON.parse(stdout) as { files: string[] }).files.length, 4);
    const below = kvmDsm(['init', join(other, 'ipi.ts/deeper')]);
    assert.equal(below.code, 2);
    assert.match(below.stderr, /ERR_PROJECT_FOLDER/);
    assert.equal(existsSync(join(other, 'ipi.ts/deeper')), false);
  } finally {
    rmSync(other, { recursive: true });
  }
});
