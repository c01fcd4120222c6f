/** The cache: what is damaged in it is made anew, another user's is used, and a full disk leaves nothing half made. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { prepareMedium } from '../../lib/lab/disk/medium.ts';
import { buildLab } from '../../lib/lab/index.ts';
import { kvmDsm } from '../support/command.ts';
import { compilerMissing, labMissing } from '../support/lab.ts';
import { asNobody, cannotBeNobody } from '../support/nobody.ts';
import { testFolder } from '../support/test-folder.ts';

const skip = labMissing() || compilerMissing();
const work = testFolder();
chmodSync(work, 0o755);

const symbols = ['KVM_DSM_IRQ_FORWARD', 'KVM_INTEL', 'KVM_AMD', 'BLK_DEV_INITRD', 'SERIAL_8250_CONSOLE'];
const drivers = ['ISO9660_FS', 'BLK_DEV_SD', 'VIRTIO_BLK', 'DEVTMPFS'];

/** A source tree that make is quick with: its image is a copy. */
function quickTree(name: string, image: string): string {
  const tree = join(work, name);
  const files = {
    Kbuild: '',
    'arch/x86/kvm/Kconfig': 'config KVM_DSM_IRQ_FORWARD\n',
    config: `\n${[...symbols, ...drivers].map((symbol) => `CONFIG_${symbol}=y\n`).join('')}`,
    Makefile: `allnoconfig:\n\tcp config $(O)/.config\nbzImage:\n\tmkdir -p $(O)/arch/x86/boot\n\t${image}\n`,
  };
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), text);
  }
  return tree;
}

/** The bytes of an ISO 9660 image by its primary volume descriptor (ECMA-119, 8.4): V8's compiled code on it varies in size. */
function sizeInDescriptor(path: string): number {
  const descriptor = readFileSync(path).subarray(16 * 2048);
  assert.equal(descriptor.toString('latin1', 1, 6), 'CD001');
  return descriptor.readUInt32LE(80) * 2048;
}

/** The image that the machines of this test boot, where every user can read it. */
async function readableKernel(): Promise<string> {
  const path = join(work, 'kernel');
  const { kernel } = await buildLab({});
  copyFileSync(kernel, path);
  return path;
}

describe('a damaged cache', { skip, timeout: 600_000 }, () => {
  test('a kernel that is not what was built is built anew, and that is told', async () => {
    const kernel = await readableKernel();
    const tree = quickTree('tree', `cp ${kernel} $(O)/arch/x86/boot/bzImage`);
    const cache = ['env', `XDG_CACHE_HOME=${join(work, 'kernels')}`];
    const build = () => kvmDsm(['lab', 'build', '--kernel-src', tree], 120, cache);
    const first = build();
    assert.equal(first.code, 0, first.stderr);
    const image = first.stdout.trim();
    const good = readFileSync(image);
    assert.doesNotMatch(build().stderr, /damaged|compile/);
    const bit = Buffer.from(good);
    bit[good.length >> 1]! ^= 1;
    for (const [name, text] of [
      ['bzImage', good.subarray(0, good.length >> 1)],
      ['bzImage', ''],
      ['bzImage', bit],
      ['info.json', ''],
      ['info.json', '{"key": 1}'],
      ['info.json', 'null'],
    ] as const) {
      writeFileSync(join(dirname(image), name), text);
      const { code, stdout, stderr } = build();
      assert.deepEqual([code, stdout.trim()], [0, image], stderr);
      assert.match(stderr, new RegExp(`the kernel there is damaged \\(.*${name}.*\\): it is built anew`));
      assert.ok(readFileSync(image).equals(good), name);
    }
    rmSync(join(dirname(image), 'config'));
    assert.match(build().stderr, /config is gone/);
  });

  test('a disk that is cut, empty or something else is made anew, and that is told', async () => {
    const before = process.env.XDG_CACHE_HOME;
    process.env.XDG_CACHE_HOME = join(work, 'media');
    after(() => {
      if (before === undefined) delete process.env.XDG_CACHE_HOME;
      else process.env.XDG_CACHE_HOME = before;
    });
    const told: string[] = [];
    const { path } = await prepareMedium((line) => told.push(line));
    const { size, ino } = statSync(path);
    await prepareMedium((line) => told.push(line));
    assert.deepEqual([told, statSync(path).ino], [[], ino], 'a whole one stays');
    // What a killed process left.
    mkdirSync(join(dirname(path), '../medium-left'));
    for (const damage of [() => truncateSync(path, size - 2048), () => writeFileSync(path, Buffer.alloc(size))]) {
      damage();
      await prepareMedium((line) => told.push(line));
      assert.deepEqual(told.splice(0), [`${path} is damaged: it is made anew`]);
      const made = statSync(path);
      assert.equal(made.size, sizeInDescriptor(path));
      await prepareMedium((line) => told.push(line));
      assert.deepEqual([told, statSync(path).ino], [[], made.ino], 'the new one is whole');
    }
    assert.deepEqual(readdirSync(join(dirname(path), '..')), ['media']);
  });
});

describe("another user's cache", { skip: skip || cannotBeNobody, timeout: 600_000 }, () => {
  test('is used as it is; of one that lacks something, the cause is told', async () => {
    const kernel = await readableKernel();
    const tree = quickTree('shared-tree', `cp ${kernel} $(O)/arch/x86/boot/bzImage`);
    const cache = join(work, 'shared');
    const env = ['env', `XDG_CACHE_HOME=${cache}`, 'HOME=/no/such/home', 'XDG_RUNTIME_DIR='];
    const build = ['lab', 'build', '--kernel-src', tree];
    const own = kvmDsm(build, 120, env);
    assert.equal(own.code, 0, own.stderr);
    const inside = () => readdirSync(cache, { recursive: true, encoding: 'utf8' }).toSorted();
    const before = inside();
    const others = kvmDsm(build, 120, [...asNobody, ...env]);
    assert.deepEqual([others.code, others.stdout], [0, own.stdout], others.stderr);
    const run = ['run', 'test/cli/scripts/passes.ts', '--on', 'svm', '--kernel', kernel];
    const lacking = kvmDsm(run, 120, [...asNobody, ...env]);
    assert.equal(lacking.code, 3, lacking.stderr);
    assert.match(lacking.stdout, /EACCES.*\[ERR_LAB_FOLDER\]/);
    assert.deepEqual(inside(), before);
  });
});

describe('a disk that becomes full', { skip, timeout: 600_000 }, () => {
  const small = (size: string, inodes: number, at: string) => [
    ...['unshare', '--mount', 'sh', '-c'],
    `mount -t tmpfs -o size=${size},nr_inodes=${inodes} none "$1" && export XDG_CACHE_HOME="$1" && shift && ` +
      '{ "$@"; code=$?; } && find "$XDG_CACHE_HOME" ! -name lock ! -name emulators.json >&2 && exit $code',
    ...['sh', at],
  ];
  const place = join(work, 'small');
  mkdirSync(place);
  const [command, ...args] = [...small('1m', 9, place), 'true'];
  const cannot = spawnSync(command!, args).status !== 0 && 'no file system can be mounted here';
  const kept = (stderr: string) => stderr.match(/^\/.*\/small\/kvm-dsm\/.*$/gm);

  test('while a kernel is built', { skip: cannot }, () => {
    const tree = quickTree('big', 'for name in 1 2 3 4 5 6 7 8 9; do : >$(O)/$$name || exit 1; done');
    // Room by bytes, and not by files.
    const { code, stderr } = kvmDsm(['lab', 'build', '--kernel-src', tree], 120, small('2g', 12, place));
    assert.equal(code, 3, stderr);
    assert.match(stderr, /No space left on device.*\[ERR_LAB_SPACE\]/);
    const all = kept(stderr) ?? [];
    const isCode = (path: string) => path.startsWith(`${place}/kvm-dsm/code`);
    const [compiled, others] = [all.filter(isCode), all.filter((path) => !isCode(path))];
    assert.deepEqual(others, [`${place}/kvm-dsm/kernels`]);
    // What V8 compiled is there as far as there was room, and nothing is left of what was not.
    assert.deepEqual(
      compiled.filter((path) => /\.js\.\d+$/.test(path)),
      [],
    );
  });

  for (const [megabytes, inodes] of [
    [1, 1000],
    [16, 1000],
    [500, 12],
  ] as const)
    test(`while a disk of a machine is made: ${megabytes} MiB, ${inodes} files`, { skip: cannot }, async () => {
      const kernel = await readableKernel();
      const run = ['run', 'test/cli/scripts/passes.ts', '--on', 'svm', '--kernel', kernel];
      const { code, stdout, stderr } = kvmDsm(run, 280, small(`${megabytes}m`, inodes, place));
      assert.equal(code, 3, stderr);
      assert.match(stdout, /\[ERR_LAB_SPACE\]/);
      assert.doesNotMatch(stderr, /^ +at /m);
      assert.deepEqual(
        kept(stderr)?.filter((path) => /medium|iso/.test(path)),
        [],
      );
    });
});
