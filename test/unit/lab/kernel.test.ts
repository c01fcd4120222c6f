/** What the lab's kernel is built from and booted from. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { ArgumentError } from '../../../lib/base/errors.ts';
import {
  buildLab,
  describeLabStatus,
  LabError,
  labStatus,
  seriesNames,
  seriesOfProfile,
} from '../../../lib/lab/index.ts';
import { readKernelImage } from '../../../lib/lab/kernel/bzimage.ts';
import { currentKey, kernelDir, markKernelUsed, pruneKernels } from '../../../lib/lab/kernel/cache.ts';
import { configOfFlavour, flavourNames } from '../../../lib/lab/kernel/flavours.ts';
import { kernelInputs } from '../../../lib/lab/kernel/inputs.ts';
import { seriesKernelKey, treeKernelKey } from '../../../lib/lab/kernel/key.ts';
import { compilers } from '../../../lib/lab/kernel/make.ts';
import { keyOf } from '../../../lib/lab/kernel/origin.ts';
import { labFolders, patchesOf } from '../../../lib/lab/kernel/own-series.ts';
import { kernelsDir } from '../../../lib/lab/paths.ts';
import { kernelImage } from '../../support/kernel-image.ts';
import { testFolder } from '../../support/test-folder.ts';

const dir = testFolder();

const image = (name: string, change?: (bytes: Buffer) => Buffer | undefined) => kernelImage(join(dir, name), change);

describe('readKernelImage', () => {
  test('tells the release of a bzImage', () => {
    assert.deepEqual(readKernelImage(image('good')).release, '6.12.0-test');
  });

  for (const [what, path, message] of [
    ['a missing file', join(dir, 'none'), /does not exist/],
    ['a folder', dir, /is not a file/],
    ['a program', process.execPath, /has no boot flag/],
    ['an empty file', image('empty', () => Buffer.alloc(0)), /has no boot flag/],
    ['no header', image('header', (bytes) => void bytes.write('xxxx', 0x202)), /has no "HdrS" header/],
    ['a zImage', image('low', (bytes) => void bytes.fill(0, 0x211, 0x212)), /is a zImage/],
    ['half of it', image('half', (bytes) => bytes.subarray(0, 0x4000)), /is cut short/],
  ] as const) {
    test(`refuses ${what}`, () => {
      assert.throws(
        () => readKernelImage(path),
        (error) =>
          error instanceof LabError &&
          error.code === 'ERR_LAB_KERNEL_IMAGE' &&
          error.exitCode === 2 &&
          message.test(error.message),
      );
    });
  }
});

test('a kernel is compiled by way of ccache where that is installed, and without it where it is not', () => {
  const [with_, without] = ['with', 'without'].map((name) => join(dir, name)) as [string, string];
  for (const folder of [with_, without]) mkdirSync(folder);
  writeFileSync(join(with_, 'ccache'), '#!/bin/sh\n', { mode: 0o755 });
  assert.deepEqual(compilers([without, with_]), ['CC=env CCACHE_DEPEND=1 ccache gcc', 'HOSTCC=ccache gcc']);
  assert.deepEqual(compilers([without]), []);
});

describe('the key of the lab kernel', () => {
  const inputs = join(dir, 'kernel');
  cpSync(kernelInputs(), inputs, { recursive: true });

  test('is the same for the same inputs, wherever they lie', () => {
    assert.equal(seriesKernelKey(inputs, 'rfc-v2', '1'), seriesKernelKey(kernelInputs(), 'rfc-v2', '1'));
  });

  test("changes with the version of Debian's source", () => {
    assert.notEqual(seriesKernelKey(inputs, 'rfc-v2', '1'), seriesKernelKey(inputs, 'rfc-v2', '2'));
  });

  test('is another one for a tarball, and for what a user adds to the configuration', () => {
    const key = (kind: 'debian' | 'tarball', added?: string) => seriesKernelKey(inputs, 'rfc-v2', '1', kind, added);
    assert.match(key('tarball'), /^tarball-/);
    assert.equal(key('debian'), seriesKernelKey(inputs, 'rfc-v2', '1'));
    assert.notEqual(key('tarball', 'CONFIG_A=y'), key('tarball'));
  });

  test('is another one for another series', () => {
    assert.notEqual(seriesKernelKey(inputs, 'rfc-v2', '1'), seriesKernelKey(inputs, 'fixed', '1'));
  });

  for (const name of [
    'lab.config',
    'rfc-v2/hooks-6.12.patch',
    'rfc-v2/arch/x86/kvm/dsm.h',
    'rfc-v2/a-new-file',
    'fault/a-new-file',
  ]) {
    test(`changes with ${name}`, () => {
      const before = seriesKernelKey(inputs, 'rfc-v2', '1');
      writeFileSync(join(inputs, name), 'changed');
      assert.notEqual(seriesKernelKey(inputs, 'rfc-v2', '1'), before);
    });
  }

  for (const name of ['a-new-series/0001-a.patch', 'rfc-v2/README.md']) {
    test(`does not change with ${name}, which it is not made of`, () => {
      const before = seriesKernelKey(inputs, 'rfc-v2', '1');
      mkdirSync(dirname(join(inputs, name)), { recursive: true });
      writeFileSync(join(inputs, name), 'new');
      assert.equal(seriesKernelKey(inputs, 'rfc-v2', '1'), before);
    });
  }

  test("of a user's tree changes with the tree and with the configuration, and not with its .git", () => {
    const tree = join(dir, 'tree');
    mkdirSync(join(tree, '.git'), { recursive: true });
    writeFileSync(join(tree, 'file'), 'a');
    const first = treeKernelKey(tree, 'CONFIG_A=y');
    writeFileSync(join(tree, '.git/index'), 'x');
    assert.equal(treeKernelKey(tree, 'CONFIG_A=y'), first);
    utimesSync(join(tree, 'file'), 1, 1);
    const second = treeKernelKey(tree, 'CONFIG_A=y');
    assert.notEqual(second, first);
    assert.notEqual(treeKernelKey(tree, 'CONFIG_A=n'), second);
  });
});

describe('a tree given as --kernel-src is refused before anything is built', () => {
  const tree = (name: string, files: Record<string, string>) => {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(dir, name, path, '..'), { recursive: true });
      writeFileSync(join(dir, name, path), text);
    }
    return join(dir, name);
  };
  const linux = { Kbuild: '', 'arch/x86/kvm/Kconfig': 'config KVM\n' };
  const patched = { ...linux, 'arch/x86/kvm/Kconfig': 'config KVM\n\nconfig KVM_DSM_IRQ_FORWARD\n' };
  for (const [what, path, message] of [
    ['that is not there', join(dir, 'no-tree'), /is no Linux source tree/],
    ['without the series', tree('stock', linux), /has no CONFIG_KVM_DSM_IRQ_FORWARD or CONFIG_KVM_DSM in/],
    ['with a build in it', tree('built', { ...patched, '.config': '' }), /holds a build of its own \(\.config\)/],
  ] as const) {
    test(what, async () => {
      const error = await buildLab({ kernelSrc: path }).catch((refused: unknown) => refused);
      assert.ok(error instanceof LabError);
      assert.equal(error.code, 'ERR_LAB_KERNEL_SOURCE');
      assert.equal(error.exitCode, 2);
      assert.match(error.message, message);
    });
  }
});

test('a tree of the user is not built as a series of ours', async () => {
  const error = await buildLab({ kernelSrc: dir, series: 'rfc-v2' }).catch((refused: unknown) => refused);
  assert.ok(error instanceof ArgumentError);
  assert.equal(error.argument, 'options.series');
});

describe('each series', () => {
  test('is a folder below kernel/ that has patches', () => {
    const folders = readdirSync(kernelInputs(), { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !['mails', 'flavours', ...labFolders].includes(entry.name))
      .map(({ name }) => name);
    assert.deepEqual(folders.sort(), seriesNames.toSorted());
    for (const series of seriesNames) assert.ok(patchesOf(kernelInputs(), series).length > 0, series);
  });

  test('belongs to profiles: one without a series of its own has the default one', () => {
    assert.equal(seriesOfProfile('rfc-v2'), 'rfc-v2');
    assert.equal(seriesOfProfile('fixed-v1'), 'fixed');
    assert.equal(seriesOfProfile('no-such-profile'), 'rfc-v2');
  });
});

test('of stale kernels those that were used last are kept, and no current one goes', () => {
  const before = process.env.XDG_CACHE_HOME;
  process.env.XDG_CACHE_HOME = join(dir, 'pruned');
  try {
    const current = seriesNames.map((series) => currentKey('6.12.1-1', series));
    const stale = Array.from({ length: 5 }, (_, at) => `debian-stale${at}`);
    for (const [at, key] of [...stale, ...current, 'tree-of-a-user'].entries()) {
      mkdirSync(kernelDir(key), { recursive: true });
      utimesSync(kernelDir(key), 1000 + at, 1000 + at);
    }
    markKernelUsed(stale[0]!);
    pruneKernels(current[0]!, '6.12.1-1');
    assert.deepEqual(readdirSync(kernelsDir()).sort(), [
      ...[stale[0]!, stale[3]!, stale[4]!, ...current, 'tree-of-a-user'].sort(),
    ]);
  } finally {
    if (before === undefined) delete process.env.XDG_CACHE_HOME;
    else process.env.XDG_CACHE_HOME = before;
  }
});

test('each flavour is a fragment that switches on what it is there for, and has a release of its own', () => {
  for (const flavour of flavourNames) {
    const { needed, symbols } = configOfFlavour(flavour, ['CONFIG_X=y']);
    assert.equal(needed!.length, 1);
    assert.equal(symbols.get(needed![0]!)?.value, 'y', flavour);
    assert.equal(symbols.get('LOCALVERSION')?.value, `"-kvm-dsm-${flavour}"`);
    assert.ok(symbols.has('X'), 'the user goes last');
  }
  assert.deepEqual(
    readdirSync(join(kernelInputs(), 'flavours')).sort(),
    flavourNames.map((name) => `${name}.config`),
  );
});

test("what is instrumented is part of a kernel's name", () => {
  const added = { text: 'CONFIG_X=y', symbols: new Map() };
  const source = { kind: 'tarball', path: '/none', name: 'linux.tar' } as const;
  const keys = [undefined, ['KCSAN_SANITIZE=n'], ['KCSAN_SANITIZE=y']].map((make) =>
    keyOf({ source, series: 'rfc-v2', added: make ? { ...added, make } : added }),
  );
  assert.equal(new Set(keys).size, 3);
  assert.deepEqual(
    flavourNames.filter((flavour) => configOfFlavour(flavour, []).make!.length > 0),
    ['gcov', 'kcsan'],
  );
});

test('labStatus tells of an empty cache that an image is missing which is not ready', async () => {
  const before = process.env.XDG_CACHE_HOME;
  process.env.XDG_CACHE_HOME = join(dir, 'cache');
  try {
    const status = await labStatus();
    assert.deepEqual(Object.keys(status.series), seriesNames);
    const { fixed } = status.series;
    assert.deepEqual([fixed.state, fixed.ready, fixed.kernel], ['missing', false, null]);
    const lines = describeLabStatus(status).split('\n');
    assert.ok(lines.includes('image     fixed: missing'));
    assert.equal(status.building, false);
    assert.equal(status.cacheDir, join(dir, 'cache/kvm-dsm'));
  } finally {
    if (before === undefined) delete process.env.XDG_CACHE_HOME;
    else process.env.XDG_CACHE_HOME = before;
  }
});
