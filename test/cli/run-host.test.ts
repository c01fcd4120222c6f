import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { jsonLines, kvmDsm, root } from '../support/command.ts';
import { noKvm, noStockKvm } from '../support/host.ts';

const script = (name: string) => join('test/cli/scripts', name);

test('the first IPI on a stock kernel: a finding and exit code 3, never a pass', { skip: noStockKvm }, () => {
  const { code, stdout } = kvmDsm(['run', 'examples/first-ipi.ts', '--on', 'host', '--json']);
  const lines = jsonLines(stdout);
  assert.equal(lines.filter(({ reason }) => reason === 45).length, 0);
  const finding = lines.find(({ type }) => type === 'finding');
  assert.equal(finding?.message, 'this kernel does not forward ICR writes');
  const result = lines.at(-1)!;
  assert.deepEqual([result.type, result.ok, result.exits], ['result', false, 1]);
  assert.equal(code, 3);

  const words = kvmDsm(['run', 'examples/first-ipi.ts', '--on', 'host']);
  assert.match(words.stdout, /finding: this kernel does not forward ICR writes/);
  assert.equal(words.code, 3);
});

test('a script that needs no forwarding passes, with its neighbour and its arguments', { skip: noKvm }, () => {
  const { code, stdout, stderr } = kvmDsm(['run', script('passes.ts'), '--on', 'host', '--json', '--', '--word', 'x']);
  assert.equal(code, 0, stdout + stderr);
  assert.match(stderr, /argument --word x/);
  const lines = jsonLines(stdout);
  assert.deepEqual(lines.at(-1), { type: 'result', ok: true, exits: 1 });
  const { ns, ...exit } = lines[0]!;
  assert.equal(typeof ns, 'number');
  assert.deepEqual(
    { ...exit, dataOffset: 'somewhere' },
    {
      type: 'exit',
      seq: 0,
      vcpu: 0,
      reason: 2,
      name: 'KVM_EXIT_IO',
      direction: 'out',
      size: 1,
      port: 0x42,
      count: 1,
      dataOffset: 'somewhere',
      data: '2a',
      rip: exit.rip,
    },
  );
});

test('a script outside the project, in JavaScript', { skip: noKvm }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'kvm-dsm-script-'));
  try {
    copyFileSync(join(root, script('neighbour.ts')), join(directory, 'neighbour.ts'));
    writeFileSync(
      join(directory, 'mine.js'),
      `import { machine, flat32, hlt, out8 } from 'kvm-dsm';
       import { port } from './neighbour.ts';
       const m = await machine();
       m.vcpu(0).program(flat32(out8(port), hlt));
       console.error(String(await m.run()));`,
    );
    const { code, stderr } = kvmDsm(['run', join(directory, 'mine.js'), '--on', 'host', '--json']);
    assert.match(stderr, /port 0x42/);
    assert.equal(code, 0);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('what the guest says and what the script does to it are told with the exits', { skip: noKvm }, () => {
  const { code, stdout, stderr } = kvmDsm(['run', script('words.ts'), '--on', 'host', '--json']);
  assert.equal(code, 0, stdout + stderr);
  const lines = jsonLines(stdout);
  const told = lines.map(({ type, seq, act, ioctl, detail, word }) => ({ type, seq, act, ioctl, detail, word }));
  const none = { act: undefined, ioctl: undefined, detail: undefined, word: undefined };
  assert.deepEqual(told.slice(0, -1), [
    { ...none, type: 'exit', seq: 0, word: { kind: 'sync', name: 'ready' } },
    {
      ...none,
      type: 'act',
      seq: 1,
      act: 'injection',
      ioctl: 'KVM_SIGNAL_MSI',
      detail: 'address 0xfee00000, data 0x40',
    },
    { ...none, type: 'exit', seq: 2, word: { kind: 'value', name: 'five', value: 5 } },
  ]);
  assert.deepEqual(lines.at(-1), { type: 'result', ok: true, exits: 2 });
  const words = kvmDsm(['run', script('words.ts'), '--on', 'host']).stdout;
  assert.match(
    words,
    /^#0 vCPU 0 .* sync "ready"\n#1 injection {2}KVM_SIGNAL_MSI address .*\n#2 .* value "five" = 0x5$/m,
  );
});

test('a script that throws: its error, its line, exit code 1', () => {
  const { code, stdout } = kvmDsm(['run', script('throws.ts'), '--on', 'host']);
  assert.match(stdout, /thrown on purpose/);
  assert.match(stdout, /throws\.ts:5/);
  assert.equal(code, 1);
  const json = kvmDsm(['run', script('throws.ts'), '--on', 'host', '--json']);
  assert.equal((jsonLines(json.stdout).at(-1)!.error as { code: string }).code, 'ERR_SCRIPT');
});

test('a guest that spins ends by --timeout, with its registers, exit code 1', { skip: noKvm }, () => {
  const { code, stdout } = kvmDsm(['run', script('spin.ts'), '--on', 'host', '--timeout', '1']);
  assert.match(stdout, /ERR_DEADLINE/);
  assert.match(stdout, /rip +0x1000/);
  assert.match(stdout, /^not ok: vCPU 0 spins at 0x1000: jmp 0x1000 \[ERR_DEADLINE\]$/m);
  assert.equal(code, 1);
});

test('a failure of a guest: the cause, then its report; with --json its parts', { skip: noKvm }, () => {
  const broken = 'test/broken/guest-spins.ts';
  const { code, stdout } = kvmDsm(['run', broken, '--on', 'host']);
  assert.equal(code, 1);
  const lines = stdout.split('\n');
  const at = lines.findIndex((line) => line.startsWith('not ok'));
  assert.equal(lines[at], 'not ok: vCPU 0 spins at 0x1014 (forever): jmp 0x1014 [ERR_DEADLINE]');
  assert.match(lines[at + 1]!, /^The guest did not come to every vCPU done within 2000 ms/);
  assert.match(stdout, /^vCPU 1: mp_state HALTED/m);

  const json = kvmDsm(['run', broken, '--on', 'host', '--json']);
  const { type, ok, error } = jsonLines(json.stdout).at(-1)!;
  assert.deepEqual([type, ok], ['result', false]);
  interface Parts {
    causes: string[];
    vcpus: { id: number; mpState: string }[];
    trace: unknown[];
    report: string;
  }
  const { causes, vcpus, trace, report } = error as Parts;
  assert.equal(causes[0], 'vCPU 0 spins at 0x1014 (forever): jmp 0x1014');
  assert.deepEqual(
    vcpus.map(({ id, mpState }) => [id, mpState]),
    [
      [0, 'RUNNABLE'],
      [1, 'HALTED'],
    ],
  );
  assert.ok(Array.isArray(trace));
  assert.match(report, /^vCPU 1: mp_state HALTED/m);
});

test('a script that never ends does so by --timeout', () => {
  const { code, stdout } = kvmDsm(['run', script('never-ends.ts'), '--on', 'host', '--timeout', '1']);
  assert.match(stdout, /did not end within the time that --timeout allows/);
  assert.equal(code, 1);
});

test('no KVM: exit code 3 and what to do', () => {
  const { code, stdout } = kvmDsm(['run', script('passes.ts'), '--on', 'host', '--device', '/nonexistent', '--json']);
  const error = jsonLines(stdout).at(-1)!.error as { code: string; advice: string };
  assert.equal(error.code, 'ERR_DEVICE_MISSING');
  assert.match(error.advice, /--on vmx/);
  assert.equal(code, 3);
});

test('a failure of another kind tells as well that the kernel does not forward', { skip: noStockKvm }, () => {
  const { code, stdout } = kvmDsm(['run', script('own-assertion.ts'), '--on', 'host', '--json']);
  const lines = jsonLines(stdout);
  assert.ok(
    lines.some(({ type, id }) => type === 'finding' && id === 'not-forwarded'),
    stdout,
  );
  assert.equal(lines.at(-1)!.ok, false);
  assert.equal(code, 1);
});

test('a module of checks is no script: nothing of it was run', { skip: noKvm }, () => {
  const { code, stdout, stderr } = kvmDsm(['run', script('checks.ts'), '--on', 'host']);
  assert.notEqual(code, 0);
  assert.match(stdout + stderr, /is a module of checks, of which none was run[\s\S]*kvm-dsm test --checks/);
});
