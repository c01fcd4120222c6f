/** `kvm-dsm kut`: an image that is made as kvm-unit-tests' are, in both lanes, and on stock QEMU, which has to agree. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { kvmDsm, root } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';
import { testFolder } from '../support/test-folder.ts';

const image = join(testFolder(), 'image.flat');

const flags = [
  ...['-m32', '-ffreestanding', '-fno-pic', '-fno-stack-protector', '-fno-asynchronous-unwind-tables', '-O1'],
  ...['-fno-toplevel-reorder', '-nostdlib', '-static', '-Wl,--build-id=none', '-Wl,-Ttext-segment=0x400000'],
];

interface Document {
  verdict: string;
  code: number | null;
  why: string | null;
  results: { name: string; verdict: string }[];
  exits: Record<string, number>;
  notes: string[];
  output: string[];
}

function kut(lane: string, append: string, ...more: string[]): { code: number | null; document: Document } {
  const { code, stdout, stderr } = kvmDsm(
    ['kut', image, '--on', lane, '--smp', '2', '--append', append, '--json', ...more],
    300,
  );
  assert.match(stdout, /^\{/, stderr);
  return { code, document: JSON.parse(stdout) as Document };
}

describe('kvm-dsm kut', { skip: labMissing(), timeout: 900_000 }, () => {
  before(() => {
    const words = [...flags, '-o', image, join(root, 'test/lab/kut/image.c')];
    const { status, stderr } = spawnSync('cc', words, { encoding: 'utf8', timeout: 60_000 });
    assert.equal(status, 0, stderr);
  });
  after(() => {
    kvmDsm(['lab', 'down']);
  });

  for (const lane of ['svm', 'vmx'])
    test(`${lane}: passes, prints what it prints on stock QEMU, and goes on after the series' exits`, () => {
      const { code, document } = kut(lane, 'first second');
      const { verdict, results, exits, output } = document;
      assert.deepEqual([code, verdict, document.code, document.why], [0, 'pass', 0, null]);
      // ICR2, and ICR for INIT and SIPI.
      assert.equal(exits.KVM_EXIT_DSM_SEND_IRQ, 3);
      assert.equal(results.filter((one) => one.verdict === 'pass').length, results.length - 1);
      const device = ['-device', 'isa-debug-exit,iobase=0xf4,iosize=0x4', '-device', 'pc-testdev'];
      const machine = ['-accel', 'tcg', '-cpu', 'max', '-smp', '2', '-m', '128', '-display', 'none', '-no-reboot'];
      const words = [...machine, ...device, '-serial', 'stdio', '-kernel', image, '-append', 'first second'];
      const stock = spawnSync('qemu-system-x86_64', words, { encoding: 'utf8', timeout: 120_000 });
      assert.equal(stock.status, 1, stock.stderr);
      assert.deepEqual(output, stock.stdout.replaceAll('\r', '').trimEnd().split('\n'));
    });

  // Those that end badly share a machine: what a boot takes is seen above.
  const warm = () => {
    const { code, stderr } = kvmDsm(['lab', 'up', '--on', 'svm'], 300);
    assert.equal(code, 0, stderr);
  };

  test('a result that fails: exit code 1, and KTAP that says which', () => {
    warm();
    const { code, stdout } = kvmDsm(['kut', image, '--on', 'svm', '--smp', '2', '--append', 'first second break'], 300);
    assert.equal(code, 1);
    assert.match(stdout, /^KTAP version 1\n# on: svm/);
    assert.match(stdout, /^ {2}# Subtest: image\n {2}1\.\.12\n/m);
    assert.match(stdout, /^ {2}not ok 11 asked to break\n {2}ok 12 not here # SKIP$/m);
    assert.match(stdout, /^# exits: \d+, 3 of them forwarded ICR writes\nnot ok 1 image\n$/m);
  });

  test("Hyper-V's connections: messages wait for their slot, events come once, and what is wrong has its status", () => {
    warm();
    const { code, document } = kut('svm', 'first second hyperv', '--hyperv');
    const failed = document.results.filter(({ verdict }) => verdict !== 'pass').map(({ name }) => name);
    assert.deepEqual([failed, code], [['not # here'], 0], document.why ?? document.output.join('\n'));
    assert.equal(document.results.length, 29);
  });

  test('a skip of everything: exit code 4; memory that is taken away comes back, if no other vCPU needs it', () => {
    warm();
    const alone = kut('svm', 'first second flush skip', '--smp', '1');
    assert.deepEqual([alone.code, alone.document.verdict, alone.document.code], [4, 'skip', 38]);
    assert.deepEqual(alone.document.notes, []);
    assert.equal(alone.document.results.filter(({ name }) => name.includes('mapped afresh'))[0]?.verdict, 'pass');
    const two = kut('svm', 'first second flush');
    assert.equal(two.code, 0, two.document.why ?? two.document.output.join('\n'));
    assert.match(two.document.notes[0]!, /^port 0xe4 with more than one vCPU/);
  });

  test('a guest that hangs, and one that shuts down, fail by name', () => {
    warm();
    const hung = kut('svm', 'first second hang', '--timeout', '20');
    assert.deepEqual([hung.code, hung.document.code], [1, null]);
    assert.match(hung.document.why!, /did not end within 20000 ms/);
    const faulted = kut('svm', 'first second fault');
    assert.equal(faulted.code, 1);
    assert.match(faulted.document.why!, /the guest is over: vCPU 0: KVM_EXIT_SHUTDOWN/);
  });

  test('refused before a boot: no such file, no image, too little memory', () => {
    for (const [args, message] of [
      [[`${image}.missing`], /cannot be read/],
      [[process.execPath], /no multiboot header/],
      [[image, '--memory', '7'], /integer from 8/],
      [[image, '--on', 'svm', '--smp', 'two'], /integer from 1 to 64/],
    ] as const) {
      const { code, stderr } = kvmDsm(['kut', ...args]);
      assert.equal(code, 2, stderr);
      assert.match(stderr, message);
    }
  });
});
