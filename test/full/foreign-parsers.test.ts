/** What a run of the whole suite reports, read by the kernel's own parser of KTAP: it counts what the JSON document counts. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { kvmDsm } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';
import { testFolder } from '../support/test-folder.ts';

const LINUX = 'linux-source-6.12';
const archive = `/usr/src/${LINUX}.tar.xz`;
const tools = `${LINUX}/tools/testing/kunit`;

const missing =
  labMissing() ||
  (!existsSync(archive) && `there is no ${archive}`) ||
  (spawnSync('python3', ['--version']).status !== 0 && 'there is no python3');

/** kunit.py, as Linux has it. */
function kunit(): string {
  const folder = testFolder();
  const { status, stderr } = spawnSync('tar', ['xf', archive, '-C', folder, tools], {
    encoding: 'utf8',
    timeout: 300_000,
  });
  assert.equal(status, 0, stderr);
  return join(folder, tools, 'kunit.py');
}

test('KTAP by kunit.py', { skip: missing, timeout: 1_800_000 }, () => {
  const parser = kunit();
  const run = (reporter: string) => kvmDsm(['test', '--on', 'svm', '--seed', '7', '--reporter', reporter], 1200);
  const [ktap, json] = [run('ktap'), run('json')];
  const file = join(testFolder(), 'report.ktap');
  writeFileSync(file, ktap.stdout);
  const { stdout } = spawnSync(parser, ['parse', file], { encoding: 'utf8', timeout: 300_000, maxBuffer: 1 << 28 });
  const count = (word: string) =>
    Number(new RegExp(`${word}: (\\d+)`).exec(stdout.slice(stdout.lastIndexOf('Ran ')))?.[1] ?? 0);
  const { pass, fail, skip, xfail, xpass } = JSON.parse(json.stdout).totals;
  assert.deepEqual([count('passed'), count('failed'), count('skipped')], [pass + xfail + xpass, fail, skip]);
  assert.equal(Number(/Ran (\d+) tests/.exec(stdout)?.[1]), pass + fail + skip + xfail + xpass);
  assert.doesNotMatch(stdout, /\[ERROR\]/);
});
