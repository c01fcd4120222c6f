/** `lab build --kernel-src` with a tarball: patched if it has no series, refused if the patches are not for it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { kernelSourceTarball } from '../../lib/lab/needs/building.ts';
import { kvmDsm } from '../support/command.ts';
import { kernelImage } from '../support/kernel-image.ts';
import { compilerMissing, labMissing, sourceMissing } from '../support/lab.ts';
import { testFolder } from '../support/test-folder.ts';

const skip = labMissing() || compilerMissing();
const work = testFolder();
const image = kernelImage(join(work, 'image'));

const symbols = ['KVM_DSM_IRQ_FORWARD', 'KVM_INTEL', 'KVM_AMD', 'BLK_DEV_INITRD', 'SERIAL_8250_CONSOLE'];
const drivers = ['ISO9660_FS', 'BLK_DEV_SD', 'VIRTIO_BLK', 'DEVTMPFS'];

/** What a tree needs so that make is quick with it: its image is a copy, and says when it is made. */
function quickFiles(version: readonly [number, number]): Record<string, string> {
  return {
    Kbuild: '',
    'quick.config': `${[...symbols, ...drivers].map((symbol) => `CONFIG_${symbol}=y\n`).join('')}`,
    Makefile:
      `VERSION = ${version[0]}\nPATCHLEVEL = ${version[1]}\nSUBLEVEL = 9\n` +
      'allnoconfig:\n\tcp quick.config .config\n' +
      `bzImage:\n\tmkdir -p arch/x86/boot && cp ${image} arch/x86/boot/bzImage && echo made >>${work}/made\n`,
  };
}

const series = { 'arch/x86/kvm/Kconfig': 'config KVM\n\nconfig KVM_DSM_IRQ_FORWARD\n' };
const stock = { 'arch/x86/kvm/Kconfig': 'config KVM\n' };

/** A tarball of a folder `linux-<name>` with these files, and what is there already. */
function tarball(name: string, files: Record<string, string>, ending = 'tar'): string {
  const top = `linux-${name}`;
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(work, top, path)), { recursive: true });
    writeFileSync(join(work, top, path), text);
  }
  const path = join(work, `${top}.${ending}`);
  const { status, stderr } = spawnSync('tar', ['-caf', path, '-C', work, top], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return path;
}

const build = (cache: string, ...words: string[]) =>
  kvmDsm(['lab', 'build', ...words], 120, ['env', `XDG_CACHE_HOME=${join(work, cache)}`]);
const made = () => readFileSync(join(work, 'made'), 'utf8').split('\n').length - 1;

describe('a kernel of a tarball', { skip, timeout: 600_000 }, () => {
  test('that has a series is built as it is, once, and always with --from-source', () => {
    const given = tarball('7.1.9', { ...quickFiles([7, 1]), ...series }, 'tar.xz');
    const first = build('own', '--kernel-src', given);
    assert.equal(first.code, 0, first.stderr);
    assert.doesNotMatch(first.stderr, / patch/);
    assert.match(first.stderr, /Linux 7\.1\.9 with CONFIG_KVM_DSM_IRQ_FORWARD: --profile rfc-v2/);
    assert.equal(made(), 1);
    assert.equal(build('own', '--kernel-src', given).stdout, first.stdout);
    assert.equal(made(), 1);
    assert.equal(build('own', '--kernel-src', given, '--from-source').stdout, first.stdout);
    assert.equal(made(), 2);
    const info = JSON.parse(readFileSync(join(dirname(first.stdout.trim()), 'info.json'), 'utf8'));
    assert.match(info.source, /^linux-7\.1\.9\.tar\.xz [0-9a-f]{16}$/);
    assert.equal(info.series, undefined);
    assert.deepEqual(
      readdirSync(join(work, 'own/kvm-dsm')).filter((name) => name.startsWith('build-')),
      [],
    );
  });

  for (const [what, given, message] of [
    [
      'of another Linux',
      () => tarball('7.2', { ...quickFiles([7, 2]), ...stock }),
      /is Linux 7\.2\.9, and the patches of rfc-v2 are for 6\.12/,
    ],
    ['of something else', () => tarball('else', { README: '' }), /is no Linux source tree/],
    ['that is none', () => image, /is no tarball of a Linux tree/],
  ] as const)
    test(`${what} is refused`, () => {
      const { code, stderr } = build('refused', '--kernel-src', given());
      assert.equal(code, 2, stderr);
      assert.match(stderr, message);
      assert.match(stderr, /\[ERR_LAB_KERNEL_SOURCE\]/);
    });

  test('that has a series is not built as one of ours', () => {
    const given = tarball('7.1.8', { ...quickFiles([7, 1]), ...series });
    const refused = (asked: string) => {
      const { code, stderr } = build('asked', '--kernel-src', given, '--series', asked);
      assert.equal(code, 2, stderr);
      assert.ok(stderr.includes(`a tarball of yours has its own series, and ${asked} cannot be built from it`), stderr);
    };
    refused('fixed');
    assert.equal(build('asked', '--kernel-src', given).code, 0);
    // The kernel of it that is in the cache is none of that series either.
    refused('rfc-v2');
  });

  test('of the Linux that the series is for is patched, and is the lab’s kernel from then on', {
    skip: sourceMissing(),
  }, () => {
    const top = join(work, 'linux-6.12.9');
    mkdirSync(top);
    // What the patches change.
    const parts = ['arch/x86/kvm', 'arch/x86/include/asm', 'virt/kvm', 'drivers/vfio', 'include/linux/vfio*.h'];
    const wanted = [...parts, 'include/uapi/linux/kvm.h'].map((part) => `linux-source-*/${part}`);
    const tar = [
      '-I',
      'xz -T0',
      '-xf',
      kernelSourceTarball,
      '-C',
      top,
      '--strip-components=1',
      '--wildcards',
      ...wanted,
    ];
    assert.equal(spawnSync('tar', tar).status, 0);
    const given = tarball('6.12.9', quickFiles([6, 12]));
    const patched = build('patched', '--kernel-src', given);
    assert.equal(patched.code, 0, patched.stderr);
    assert.match(patched.stderr, / patch: rfc-v2\n/);
    const info = JSON.parse(readFileSync(join(dirname(patched.stdout.trim()), 'info.json'), 'utf8'));
    assert.equal(info.series, 'rfc-v2');
    const later = build('patched');
    assert.equal(later.stdout, patched.stdout, later.stderr);
  });
});
