/** The corrected series: it applies, checkpatch has nothing to say, and the suite finds nothing on either lane. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { basename, join } from 'node:path';
import { describe, test } from 'node:test';
import { kernelInputs } from '../../lib/lab/kernel/inputs.ts';
import { patchesOf } from '../../lib/lab/kernel/own-series.ts';
import { kernelSourceTarball } from '../../lib/lab/needs/building.ts';
import { kvmDsm } from '../support/command.ts';
import { labMissing, sourceMissing } from '../support/lab.ts';
import { NatsServer, noNatsServer } from '../support/nats-server.ts';
import { ShardProcess } from '../support/shard-process.ts';
import type { SuiteDocument } from '../support/suite.ts';
import { testFolder } from '../support/test-folder.ts';

const skip = labMissing();
const work = testFolder();
const patches = patchesOf(kernelInputs(), 'fixed');
/** What the patches change, and what checkpatch reads. */
const parts = [
  ...['arch/x86/kvm', 'arch/x86/include/asm/kvm_host.h', 'include/uapi/linux/kvm.h', 'Documentation/virt/kvm'],
  ...[
    'tools/testing/selftests/kvm',
    'scripts/checkpatch.pl',
    'scripts/spelling.txt',
    'scripts/const_structs.checkpatch',
  ],
].map((part) => `linux-source-*/${part}`);

describe('on its own', { skip: sourceMissing(), timeout: 600_000 }, () => {
  test('each patch applies without fuzz, and checkpatch --strict has nothing to say of it', () => {
    const tar = ['-xf', kernelSourceTarball, '-C', work, '--strip-components=1', '--wildcards', ...parts];
    assert.equal(spawnSync('tar', tar).status, 0);
    for (const patch of patches) {
      const applied = spawnSync('patch', ['-p1', '--batch', '--fuzz=0', '-d', work, '-i', patch], { encoding: 'utf8' });
      assert.equal(applied.status, 0, applied.stdout);
      // A new file needs no line in MAINTAINERS: its folder has one.
      const options = ['--strict', '--no-tree', '--ignore', 'FILE_PATH_CHANGES'];
      const said = spawnSync('perl', [join(work, 'scripts/checkpatch.pl'), ...options, patch], { encoding: 'utf8' });
      assert.match(said.stdout, /total: 0 errors, 0 warnings, 0 checks/, `${basename(patch)}\n${said.stdout}`);
    }
  });
});

const buildOnce = () => {
  const build = kvmDsm(['lab', 'build', '--series', 'fixed'], 3600);
  assert.equal(build.code, 0, build.stderr);
};

test('it refuses by errnos, which are errors of their own; its paravirtual exits are judged', {
  skip,
  timeout: 3_600_000,
}, () => {
  buildOnce();
  const args = ['run', 'test/lab/scripts/refused.ts', '--on', 'svm', '--profile', 'fixed-v1', '--timeout', '250'];
  const { code, stdout, stderr } = kvmDsm(args, 280);
  assert.equal(code, 0, stdout + stderr);
});

for (const script of ['nodes-deferred.ts', 'nodes-counters.ts'])
  test(`nodes deliver what the kernel leaves to them, each once, whatever its KVM would have chosen: ${script}`, {
    skip,
    timeout: 3_600_000,
  }, () => {
    buildOnce();
    const args = ['run', `test/lab/scripts/${script}`, '--on', 'svm', '--profile', 'fixed-v1', '--timeout', '580'];
    const every = ['memory', 'x2apic', 'pv', 'each=1400'];
    const counts = script === 'nodes-counters.ts' ? ['--', '4000', '6', '3', '47', ...every] : [];
    const { code, stdout, stderr } = kvmDsm([...args, '--cmdline', 'kvm.vector_hashing=0', ...counts], 620);
    assert.equal(code, 0, stdout + stderr);
  });

test('nodes in two lab machines deliver what their kernels leave to them, each once', {
  skip: skip || noNatsServer,
  timeout: 3_600_000,
}, async () => {
  buildOnce();
  await using server = await NatsServer.start();
  const shard = (vcpus: string) =>
    new ShardProcess({
      script: 'test/lab/scripts/nodes-counters.ts',
      args: ['300', '4', '2', '47', 'memory', 'x2apic', 'pv', 'each=100'],
      vcpus,
      of: 4,
      url: server.url,
      timeout: 500,
      more: ['--quiet', '--profile', 'fixed-v1', '--cmdline', 'kvm.vector_hashing=0'],
    });
  await using first = shard('0,1');
  await using second = shard('2,3');
  const counted = async (one: ShardProcess) =>
    JSON.parse(await one.says(/^\{"sent":.*"kinds":.*\}(?=\n)/m, 'said')) as Record<'lowest' | 'taken', number>;
  const [here, there] = await Promise.all([counted(first), counted(second)]);
  assert.equal(here.taken + there.taken, here.lowest, 'each of lowest priority was taken once');
  assert.ok(here.lowest > 0);
  assert.deepEqual([await first.end(), await second.end()], [0, 0], first.errors + second.errors);
});

for (const lane of ['svm', 'vmx'])
  test(`the suite finds nothing on ${lane}`, { skip, timeout: 3_600_000 }, () => {
    buildOnce();
    const args = ['test', '--on', lane, '--profile', 'fixed-v1', '--strict', '--destructive', '--json'];
    const { code, stdout, stderr } = kvmDsm([...args, '--timeout', '1800'], 1900);
    assert.notEqual(stdout, '', stderr);
    const { totals, head, kernel } = JSON.parse(stdout) as SuiteDocument;
    assert.match(kernel, /-kvm-dsm-fixed$/);
    const { fail, xfail, xpass } = totals;
    assert.deepEqual([code, fail, xfail, xpass], [0, 0, 0, 0], `${stderr}\n${JSON.stringify(head)}`);
  });
