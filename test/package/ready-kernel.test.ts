/** The ready kernel beside an installed kvm-dsm: found by its name, checked, and used or refused. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { checksum, currentKey } from '../../lib/lab/kernel/cache.ts';
import { readyPackage } from '../../lib/lab/kernel/ready.ts';
import type { LabStatus } from '../../lib/lab/status.ts';
import { root } from '../support/command.ts';
import { kernelImage } from '../support/kernel-image.ts';
import { labMissing } from '../support/lab.ts';
import { noOtherSystem, otherSystem } from '../support/other-system.ts';
import { testFolder } from '../support/test-folder.ts';

const work = testFolder();

const installed = join(work, 'node_modules/kvm-dsm');
mkdirSync(installed, { recursive: true });
for (const entry of ['dist', 'kernel', 'package.json'])
  cpSync(join(root, entry), join(installed, entry), { recursive: true });
// What it needs lies beside it, without this checkout's own ready kernel.
for (const name of readdirSync(join(root, 'node_modules')))
  if (name !== readyPackage && !name.startsWith('.'))
    symlinkSync(join(root, 'node_modules', name), join(work, 'node_modules', name));

/** Puts a package of a ready kernel beside it, made from that source version, with that key. */
function putReady(key = currentKey('1')): string {
  const folder = join(work, 'node_modules', readyPackage);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  const kernel = kernelImage(join(folder, 'bzImage'));
  writeFileSync(join(folder, 'config'), '');
  const manifest = {
    version: 1,
    series: 'rfc-v2',
    key,
    release: '6.12.0-test',
    source: { package: 'linux-source', version: '1', archive: '' },
    bzImage: { bytes: 0x8000, sha256: checksum(kernel) },
    config: { sha256: checksum(join(folder, 'config')) },
    tools: {},
  };
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify(manifest));
  return kernel;
}

/** Where nothing can be built: without dpkg nobody finds Debian's source. */
function command(...words: string[]) {
  const system = [...otherSystem({ release: 'fedora' }), 'env', `XDG_CACHE_HOME=${join(work, 'cache')}`];
  const [program, ...args] = [...system, process.execPath, join(installed, 'dist/cli/main.js'), ...words];
  const { status, stdout, stderr } = spawnSync(program!, args, { encoding: 'utf8', timeout: 60_000 });
  return { status, stdout, stderr };
}

const imageStatus = () => JSON.parse(command('lab', 'status', '--json').stdout) as LabStatus;

describe('the ready kernel of an installed package', { skip: noOtherSystem || labMissing() }, () => {
  test('is used where it fits, which `lab build` and the status say', () => {
    const kernel = putReady();
    const { status, stdout, stderr } = command('lab', 'build');
    assert.deepEqual([status, stdout], [0, `${kernel}\n`], stderr);
    assert.match(stderr, /6\.12\.0-test, ready kernel from the package kvm-dsm-lab-kernel/);
    assert.match(command('lab', 'status').stdout, /image {5}rfc-v2: ready kernel from the package: 6\.12\.0-test, /);
    assert.match(command('doctor').stdout, /The lab is ready, with the kernel from the package/);
  });

  test('is not used with --from-source', () => {
    putReady();
    const { status, stderr } = command('lab', 'build', '--from-source');
    assert.equal(status, 3);
    assert.match(stderr, /no source to build a kernel from/);
  });

  for (const [what, change, state, said] of [
    [
      'of which a byte has changed',
      (kernel: string) => writeFileSync(kernel, 'x', { flag: 'a' }),
      'damaged',
      /bzImage does not have the SHA-256/,
    ],
    [
      'that was made from other sources',
      () => putReady('debian-0123456789abcdef'),
      'other',
      /was made from other sources/,
    ],
    [
      'that is not installed',
      (kernel: string) => rmSync(join(kernel, '..'), { recursive: true }),
      'absent',
      /is not installed/,
    ],
  ] as const)
    test(`one ${what} is not, and a kernel is built from source, which is told`, () => {
      change(putReady());
      const { status, stderr } = command('lab', 'build');
      assert.equal(status, 3);
      assert.match(stderr, said);
      assert.match(stderr, /one is built from source\n[\s\S]*no source to build a kernel from/);
      const { ready, image } = imageStatus();
      assert.deepEqual([ready.state, image.state, image.ready], [state, 'missing', false]);
      assert.match(ready.reason!, said);
      const text = command('lab', 'status').stdout;
      if (state === 'absent') assert.doesNotMatch(text, /^ready/m);
      else assert.match(text, /^ready {5}not used: /m);
    });
});
