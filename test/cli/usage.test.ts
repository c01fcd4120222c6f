import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { jsonLines, kvmDsm } from '../support/command.ts';
import { freePort } from '../support/nats-server.ts';

// Nothing here needs the lab, and what is to be refused must not empty the user's cache if it is not.
const cache = mkdtempSync(join(tmpdir(), 'kvm-dsm-usage-'));
process.env.XDG_CACHE_HOME = cache;
after(() => rmSync(cache, { recursive: true, force: true }));

const node = ['node', 'examples/nodes.ts', '--of', '4', '--nats', 'nats://127.0.0.1', '--on', 'host'];
const list = join(cache, 'list.json');
writeFileSync(list, '[]');

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
  ['a profile that does not exist, where none is used', ['lab', 'clean', '--profile', 'zzz'], /no DSM profile 'zzz'/],
  ['one before the subcommand', ['--profile', 'zzz', 'lab', 'status'], /no DSM profile 'zzz'/],
  [
    'a kernel for the host',
    ['run', 'examples/first-ipi.ts', '--on', 'host', '--kernel', 'x'],
    /--kernel is for the lab/,
  ],
  [
    'a node without vCPUs',
    ['node', 'examples/nodes.ts', '--of', '4', '--nats', 'nats://127.0.0.1'],
    /'--vcpus <list>'/,
  ],
  ['a node with what is no vCPU', [...node, '--vcpus', '0,a'], /vcpu_ids from 0 to 63/],
  ['a node with a vCPU that there is not', [...node, '--vcpus', '0,4'], /names vCPU 4, and --of says that there are 4/],
  ['a node with a vCPU twice', [...node, '--vcpus', '1,1'], /names vCPU 1 twice/],
  [
    'a node with what is no address',
    [...node, '--vcpus', '1', '--nats', 'localhost'],
    /not the address of a NATS server/,
  ],
  [
    'a node with a name that no subject can have',
    [...node, '--vcpus', '1', '--vm', 'a.b'],
    /letters, digits and dashes/,
  ],
  [
    'a node that waits as long as it may run',
    [...node, '--vcpus', '1', '--deadline', '120'],
    /leaves no time of --timeout 120/,
  ],
  [
    'a node with options that are not JSON',
    [...node, '--vcpus', '1', '--nats-options', 'package-lock'],
    /package-lock: ENOENT/,
  ],
  ['a node with options that are no object', [...node, '--vcpus', '1', '--nats-options', list], /holds no JSON object/],
  [
    'a node of a script that does not exist',
    ['node', 'no/such.ts', ...node.slice(2), '--vcpus', '1'],
    /ERR_SCRIPT_MISSING/,
  ],
];

for (const [what, args, said] of usage) {
  test(what, () => {
    const { code, stdout, stderr } = kvmDsm(args);
    assert.match(stdout + stderr, said);
    assert.equal(code, 2);
  });
}

test('a node where there is no NATS server', async () => {
  const url = `nats://127.0.0.1:${await freePort()}`;
  const { code, stderr } = kvmDsm([
    'node',
    'examples/nodes.ts',
    '--of',
    '4',
    '--vcpus',
    '1',
    '--nats',
    url,
    '--on',
    'host',
  ]);
  assert.match(stderr, /There is no NATS server at nats:.*ERR_TRANSPORT/);
  assert.equal(code, 3);
});

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

test('the help of each command of the lab has its options, with what they mean there', () => {
  const has: Record<string, RegExp[]> = {
    build: [/--kernel-src <tree> +build this Linux tree/, /--json +print what was built/],
    status: [/--json +one JSON document/],
    up: [/--idle <minutes>/, /--on <place> +the machine/, /--cmdline <text> +add to the kernel's/],
    down: [/--on <place> +end the machine of this lane alone/],
    exec: [/--timeout <s> +seconds that the command/, /--kernel <bzImage> +boot this image/],
    shell: [/--emulator <binary> +use this Bochs/],
    clean: [/--json +print what was removed/],
  };
  for (const [command, patterns] of Object.entries(has)) {
    const { stdout, code } = kvmDsm(['lab', command, '--help']);
    assert.equal(code, 0);
    for (const pattern of patterns) assert.match(stdout, pattern);
    for (const line of stdout.split('\n').filter((text) => /^ {2}-/.test(text)))
      assert.match(line, /^ {2}\S.*?( {2,}\S|>$)/, `${command}: no meaning stands by ${line}`);
  }
  for (const command of ['build', 'status', 'clean'])
    assert.doesNotMatch(kvmDsm(['lab', command, '--help']).stdout, /--cmdline|--emulator|--timeout/);
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
