/** The ready kernel: when it is used, and that the one of this repository is what kernel/ makes. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { describeLabStatus, labStatus } from '../../../lib/lab/index.ts';
import { readKernelImage } from '../../../lib/lab/kernel/bzimage.ts';
import { checksum, currentKey, kernelOfSeries } from '../../../lib/lab/kernel/cache.ts';
import { type ReadyManifest, readManifest, readyFolder, readyKernel } from '../../../lib/lab/kernel/ready.ts';
import { root } from '../../support/command.ts';
import { kernelImage } from '../../support/kernel-image.ts';
import { testFolder } from '../../support/test-folder.ts';

const dir = testFolder();

const home = join(root, 'packages/lab-kernel');

describe('packages/lab-kernel', () => {
  const manifest = readManifest(join(home, 'manifest.json'));
  const renew = 'renew it: npm run lab-kernel';

  test('was made from kernel/ as it is', () => {
    assert.ok(manifest, `there is no manifest: ${renew}`);
    const key = currentKey(manifest.source.version, manifest.series);
    assert.equal(
      manifest.key,
      key,
      `kernel/ or its configuration has changed since the ready kernel was built: ${renew}`,
    );
  });

  test('is what its manifest says, and small', () => {
    assert.ok(manifest);
    for (const file of ['bzImage', 'config'] as const)
      assert.equal(checksum(join(home, file)), manifest[file].sha256, `${file}: ${renew}`);
    const { bytes, release } = readKernelImage(join(home, 'bzImage'));
    assert.deepEqual([bytes, release], [manifest.bzImage.bytes, manifest.release]);
    assert.ok(bytes <= 5_000_000, `${bytes} bytes`);
  });

  test('is found in a checkout', () => {
    assert.equal(readyFolder(), home);
  });
});

/** A package of a ready kernel, with an image that is none but for its header. */
function packageOf(name: string, change: (manifest: ReadyManifest) => object = () => ({})): string {
  const folder = join(dir, name);
  mkdirSync(folder);
  const kernel = kernelImage(join(folder, 'bzImage'));
  writeFileSync(join(folder, 'config'), 'CONFIG_KVM=y\n');
  const source = { package: 'linux-source', version: 'of no machine', archive: '' };
  const manifest: ReadyManifest = {
    version: 1,
    series: 'rfc-v2',
    key: currentKey(source.version, 'rfc-v2'),
    release: '6.12.0-test',
    source,
    bzImage: { bytes: statSync(kernel).size, sha256: checksum(kernel) },
    config: { sha256: checksum(join(folder, 'config')) },
    tools: {},
  };
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify({ ...manifest, ...change(manifest) }));
  return folder;
}

describe('a ready kernel', () => {
  test('is used where its key is that of the sources here, whatever source this machine has', () => {
    const folder = packageOf('fits');
    const ready = readyKernel('rfc-v2', folder);
    assert.ok(ready.state === 'fits', JSON.stringify(ready));
    const { kernel, config, release, bytes } = ready.kernel;
    assert.deepEqual(
      [kernel, config, release, bytes, ready.kernel.ready],
      [join(folder, 'bzImage'), join(folder, 'config'), '6.12.0-test', 0x8000, true],
    );
  });

  test('of other sources is not, and that is said', () => {
    const ready = readyKernel(
      'rfc-v2',
      packageOf('other', () => ({ key: 'debian-0123456789abcdef' })),
    );
    assert.ok(ready.state === 'other');
    assert.match(ready.reason, /other sources/);
  });

  for (const [file, text] of [
    ['bzImage', 'half of a download'],
    ['config', ''],
  ] as const)
    test(`with another ${file} is refused by its name`, () => {
      const folder = packageOf(`changed-${file}`);
      writeFileSync(join(folder, file), text);
      const ready = readyKernel('rfc-v2', folder);
      assert.ok(ready.state === 'damaged');
      assert.ok(ready.reason.includes(join(folder, file)) && /SHA-256/.test(ready.reason), ready.reason);
    });

  test('without one of its files, or with a manifest that is none, is refused', () => {
    const folder = packageOf('gone');
    rmSync(join(folder, 'bzImage'));
    assert.equal(readyKernel('rfc-v2', folder).state, 'damaged');
    for (const text of ['', 'null', '{"version":2}', '{"version":1}']) {
      writeFileSync(join(folder, 'manifest.json'), text);
      const ready = readyKernel('rfc-v2', folder);
      assert.ok(ready.state === 'damaged' && ready.reason.includes('manifest.json'), text);
    }
  });

  test('there is of the default series alone', () => {
    assert.equal(readyKernel('fixed', packageOf('series')).state, 'absent');
  });
});

describe('which kernel is taken', () => {
  const { XDG_CACHE_HOME } = process.env;
  after(() => {
    if (XDG_CACHE_HOME === undefined) delete process.env.XDG_CACHE_HOME;
    else process.env.XDG_CACHE_HOME = XDG_CACHE_HOME;
  });

  /** A kernel in a cache of its own, as a build of that source would leave it. */
  function cached(name: string, kind: 'debian' | 'tarball', source: string, change: object = {}): string {
    process.env.XDG_CACHE_HOME = join(dir, name);
    const key = currentKey(source, 'rfc-v2', kind);
    const folder = join(dir, name, 'kvm-dsm/kernels', key);
    mkdirSync(folder, { recursive: true });
    const sha256 = checksum(kernelImage(join(folder, 'bzImage')));
    writeFileSync(join(folder, 'config'), '');
    const info = { key, release: '6.12.0-test', source, series: 'rfc-v2', built: '2026', buildSeconds: 1, sha256 };
    writeFileSync(join(folder, 'info.json'), JSON.stringify({ ...info, ...change }));
    return join(folder, 'bzImage');
  }

  test("of Debian's source that is here, one of that version; of one that is not, any that the inputs fit", () => {
    const kernel = cached('debian', 'debian', '6.12.1');
    assert.equal(kernelOfSeries('rfc-v2', '6.12.1')?.kernel, kernel);
    assert.equal(kernelOfSeries('rfc-v2', '6.12.2'), undefined);
    assert.equal(kernelOfSeries('rfc-v2', undefined)?.kernel, kernel);
    assert.equal(kernelOfSeries('fixed', undefined), undefined);
  });

  test('one of a tarball, whatever source is here; but not of one that had a series of its own', () => {
    const kernel = cached('tarball', 'tarball', 'linux-6.12.9.tar.xz 00');
    for (const version of ['6.12.1', undefined]) assert.equal(kernelOfSeries('rfc-v2', version)?.kernel, kernel);
    cached('own', 'tarball', 'linux-6.12.9.tar.xz 00', { series: undefined });
    assert.equal(kernelOfSeries('rfc-v2', undefined), undefined);
  });

  test('one whose image has changed is not', () => {
    const kernel = cached('changed', 'debian', '6.12.1');
    writeFileSync(kernel, 'x');
    assert.equal(kernelOfSeries('rfc-v2', '6.12.1'), undefined);
  });

  test('the status tells whether it is the ready one', async () => {
    process.env.XDG_CACHE_HOME = join(dir, 'empty');
    const ready = await labStatus();
    const there = ready.ready.state === 'fits';
    assert.equal(ready.image.ready, there);
    const line = describeLabStatus(ready)
      .split('\n')
      .find((text) => text.startsWith('image     rfc-v2:'));
    if (there)
      assert.match(line!, /^image {5}rfc-v2: ready kernel from the package: 6\.12\.\d+-kvm-dsm, \d\.\d MiB, \//);
    const kernel = cached('built', 'tarball', 'linux-6.12.9.tar.xz 00');
    const built = await labStatus();
    assert.deepEqual([built.image.ready, built.image.state, built.image.kernel?.kernel], [false, 'present', kernel]);
  });

  test('the status tells of one whose source had a series of its own as of a tree', async () => {
    const kernel = cached('of-the-user', 'tarball', 'linux-6.12.9.tar.xz 00', { series: undefined });
    const { treeKernels, series } = await labStatus();
    assert.deepEqual(
      treeKernels.map((one) => one.kernel),
      [kernel],
    );
    for (const image of Object.values(series)) assert.notEqual(image.kernel?.kernel, kernel);
  });
});
