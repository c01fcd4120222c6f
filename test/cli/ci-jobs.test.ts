/** The jobs of `ci/`: each is YAML, and its test command runs as it stands there and leaves the report that it names. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { DOMParser } from '@xmldom/xmldom';
import { Parser } from 'tap-parser';
import { parse } from 'yaml';
import { kvmDsm, root } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';
import { testFolder } from '../support/test-folder.ts';

const jobs = new Map(
  readdirSync(join(root, 'ci'))
    .filter((name) => /\.ya?ml$/.test(name))
    .map((name) => [name, parse(readFileSync(join(root, 'ci', name), 'utf8')) as unknown]),
);

/** Every text in a document. */
function textsOf(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return value !== null && typeof value === 'object' ? Object.values(value).flatMap(textsOf) : [];
}

const commandOf = (name: string) => textsOf(jobs.get(name)).filter((text) => text.startsWith('npx kvm-dsm test '));

const checks = ['payload.reason', 'payload.icr.vector'];

/** What each leaves: how many checks that says were looked at, and passed. */
const reports: Record<string, { file: string; passed: (text: string) => number }> = {
  'github.yml': { file: 'kvm-dsm.xml', passed: ofJunit },
  'gitlab.yml': { file: 'kvm-dsm.xml', passed: ofJunit },
  'lava.yaml': { file: 'kvm-dsm.tap', passed: ofTap },
  'kernelci-pull-labs.yaml': { file: 'kvm-dsm.json', passed: ofKunit },
};

function ofJunit(text: string): number {
  const cases = [...new DOMParser().parseFromString(text, 'text/xml').getElementsByTagName('testcase')];
  return cases.filter((one) => one.getElementsByTagName('*').length === 0).length;
}

function ofTap(text: string): number {
  const parser = new Parser({ strict: true });
  parser.end(text);
  // As Linaro's parser reads it.
  for (const line of text.split('\n').filter((one) => /^(?:not )?ok/.test(one)))
    assert.match(line, /^(?:not )?ok \d+ - \S+/);
  return parser.results!.pass;
}

function ofKunit(text: string): number {
  const groups = JSON.parse(text).sub_groups as { test_cases: { status: string }[] }[];
  return groups.flatMap((group) => group.test_cases).filter(({ status }) => status === 'PASS').length;
}

test('each job is looked at', () => {
  assert.deepEqual([...jobs.keys()].sort(), Object.keys(reports).sort());
  for (const name of jobs.keys()) assert.equal(commandOf(name).length, 1, name);
});

describe('the command of a job', { skip: labMissing() }, () => {
  after(() => {
    kvmDsm(['lab', 'down']);
  });
  for (const [name, { file, passed }] of Object.entries(reports))
    test(name, () => {
      const up = kvmDsm(['lab', 'up', '--on', 'svm'], 300);
      assert.equal(up.code, 0, up.stderr);
      const folder = testFolder();
      // What `npm install` makes of it; a build does not make the file executable.
      const bin = join(folder, 'node_modules/.bin');
      mkdirSync(bin, { recursive: true });
      const command = `#!/bin/sh\nexec '${process.execPath}' '${join(root, 'dist/cli/main.js')}' "$@"\n`;
      writeFileSync(join(bin, 'kvm-dsm'), command, { mode: 0o755 });
      const [line] = commandOf(name);
      const { status, stderr } = spawnSync('sh', ['-c', line!], {
        cwd: folder,
        env: { ...process.env, KVM_DSM_CHECKS: checks.join(' '), NODE_OPTIONS: '' },
        encoding: 'utf8',
        timeout: 240_000,
      });
      assert.equal(status, 0, stderr);
      assert.equal(passed(readFileSync(join(folder, file), 'utf8')), checks.length);
    });
});
