import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { jsonLines, kvmDsm } from '../support/command.ts';

const usage: [what: string, args: string[], said: RegExp][] = [
  ['a subcommand that does not exist', ['fly'], /unknown command/],
  ['an option that does not exist', ['doctor', '--fly'], /unknown option/],
  ['a place that does not exist', ['doctor', '--on', 'moon'], /Allowed choices are auto, host, vmx, svm/],
  ['a timeout that is none', ['doctor', '--timeout', 'soon'], /seconds/],
  ['run without a script', ['run'], /missing required argument/],
  ['a variant on the host', ['test', '--on', 'host', '--variant', 'all'], /--variant is for the lab/],
  ['machines of the host', ['test', '--on', 'host', '--machines', '2'], /--machines is for the lab/],
  ['more machines than a host can carry', ['test', '--on', 'svm', '--machines', '9'], /integer from 1 to 8/],
  ['a variant that the lane has not', ['test', '--on', 'svm', '--variant', 'no-ept'], /no-npt, no-vector-hashing, all/],
  ['a script that does not exist', ['run', 'no/such.ts', '--on', 'host'], /ERR_SCRIPT_MISSING/],
  ['a folder as a script', ['run', 'test', '--on', 'host'], /ERR_SCRIPT_MISSING/],
  ['a profile that does not exist', ['abi', '--profile', 'v9'], /rfc-v2/],
  [
    'a kernel for the host',
    ['run', 'examples/first-ipi.ts', '--on', 'host', '--kernel', 'x'],
    /--kernel is for the lab/,
  ],
];

for (const [what, args, said] of usage) {
  test(what, () => {
    const { code, stdout, stderr } = kvmDsm(args);
    assert.match(stdout + stderr, said);
    assert.equal(code, 2);
  });
}

test('a script that does not compile', () => {
  const directory = mkdtempSync(join(tmpdir(), 'kvm-dsm-script-'));
  try {
    writeFileSync(join(directory, 'no-syntax.ts'), 'const = 5;');
    const { code, stderr } = kvmDsm(['run', join(directory, 'no-syntax.ts'), '--on', 'host']);
    assert.match(stderr, /ERR_SCRIPT_SYNTAX/);
    assert.match(stderr, /no-syntax\.ts:1/);
    assert.equal(code, 2);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('options may stand before the subcommand and behind it', () => {
  assert.equal(kvmDsm(['--json', 'abi']).stdout, kvmDsm(['abi', '--json']).stdout);
  assert.equal(kvmDsm(['abi', '--json', '--profile', 'rfc-v2']).code, 0);
  assert.equal(kvmDsm(['--profile', 'v9', 'abi']).code, 2);
});

test('help and version', () => {
  for (const word of ['doctor', 'run', 'lab', 'abi'])
    assert.match(kvmDsm(['--help']).stdout, new RegExp(`^ +${word}`, 'm'));
  assert.match(kvmDsm(['run', '--help']).stdout, /--emulator/);
  assert.match(kvmDsm(['--version']).stdout, /^\d+\.\d+\.\d+\n$/);
});

test('an error as JSON keeps its code', () => {
  const { code, stdout } = kvmDsm(['doctor', '--json', '--kernel', '/no/such', '--on', 'host']);
  assert.equal(code, 2);
  assert.deepEqual(
    jsonLines(stdout).map(({ type, code }) => [type, code]),
    [['error', 'ERR_ARGUMENT']],
  );
});

test('that of a run is in its result', () => {
  const { code, stdout } = kvmDsm(['run', 'no/such.ts', '--json']);
  assert.equal(code, 2);
  const [{ type, ok, error }, ...rest] = jsonLines(stdout) as [Record<string, unknown>];
  assert.deepEqual([type, ok, (error as { code: string }).code, rest], ['result', false, 'ERR_SCRIPT_MISSING', []]);
});
