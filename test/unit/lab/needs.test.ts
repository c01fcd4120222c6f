/** What the lab needs of a machine: found wherever a distribution has it, told in the words of the distribution. */
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { LabPackagesError } from '../../../lib/lab/errors.ts';
import { installedVersions, isDebian, parseInstalled } from '../../../lib/lab/kernel/debian.ts';
import { lanes } from '../../../lib/lab/lanes/index.ts';
import { debianSource, tarballNeeds } from '../../../lib/lab/needs/building.ts';
import { readBusybox } from '../../../lib/lab/needs/busybox.ts';
import {
  type Family,
  installCommand,
  packagesIn,
  readOsRelease,
  thisDistribution,
} from '../../../lib/lab/needs/distribution.ts';
import { installLacking, packagesFor, refuseLacking } from '../../../lib/lab/needs/install.ts';
import { laneNeeds } from '../../../lib/lab/needs/machine.ts';
import { type LabNeed, program } from '../../../lib/lab/needs/need.ts';
import { osReleases } from '../../support/other-system.ts';
import { testFolder } from '../../support/test-folder.ts';

const work = testFolder();

const lacking = (name: string, packages: LabNeed['packages']): LabNeed => ({ name, isThere: () => false, packages });

describe('the distribution', () => {
  for (const [name, family, title] of [
    ['fedora', 'fedora', 'Fedora Linux'],
    ['rocky', 'rhel', 'Rocky Linux'],
    ['arch', 'arch', 'Arch Linux'],
    ['manjaro', 'arch', 'Manjaro Linux'],
    ['alpine', 'alpine', 'Alpine Linux'],
    ['suse', 'suse', 'openSUSE Tumbleweed'],
    ['ubuntu', 'ubuntu', 'Ubuntu'],
    ['mint', 'ubuntu', 'Linux Mint'],
    ['debian', 'debian', 'Debian'],
    ['other', undefined, 'Slackware'],
  ] as const)
    test(`${name} is known by its os-release`, () => {
      assert.deepEqual(readOsRelease(osReleases[name]), { title, family });
    });

  test('of a machine without os-release nothing is known', () => {
    assert.deepEqual(thisDistribution([join(work, 'none')]), { title: 'this Linux', family: undefined });
    assert.deepEqual(readOsRelease(''), { title: 'this Linux', family: undefined });
  });

  test('each has one command for a shell that installs', () => {
    const root = process.geteuid?.() === 0;
    if (root) process.seteuid?.(65534);
    try {
      const says = (family: Family) => installCommand(family, ['bc', 'flex']);
      assert.equal(says('debian'), "sudo sh -c 'apt-get update && apt-get install -y --no-install-recommends bc flex'");
      assert.equal(says('ubuntu'), says('debian'));
      assert.equal(says('fedora'), 'sudo dnf install -y bc flex');
      assert.equal(says('rhel'), says('fedora'));
      assert.match(says('arch'), /^sudo pacman -S .*bc flex$/);
      assert.equal(says('alpine'), 'sudo apk add bc flex');
      assert.match(says('suse'), /^sudo zypper .*install bc flex$/);
    } finally {
      if (root) process.seteuid?.(0);
    }
    if (root) assert.doesNotMatch(installCommand('arch', ['bc']), /sudo/);
  });
});

describe('what is missing', () => {
  const needs = [
    lacking('a', { debian: ['a-deb', 'shared'], arch: ['a-arch'] }),
    lacking('b', { debian: ['shared'], ubuntu: [], fedora: ['b-rpm'] }),
  ];

  test('is told by the packages of the distribution, each once, and by its own name where there is none', () => {
    const told = (family: Family | undefined) => packagesFor(needs, { title: '', family });
    assert.deepEqual([told('debian').packages, told('debian').rest], [['a-deb', 'shared'], []]);
    assert.deepEqual([told('ubuntu').packages, told('ubuntu').rest], [['a-deb', 'shared'], ['b']]);
    assert.deepEqual([told('arch').packages, told('arch').rest], [['a-arch'], ['b']]);
    assert.deepEqual(told(undefined), { packages: [], rest: ['a', 'b'], command: null });
    assert.deepEqual(told('alpine'), { packages: [], rest: ['a', 'b'], command: null });
    assert.match(told('arch').command!, /pacman .* a-arch$/);
  });

  test('is refused, with its names', () => {
    refuseLacking([program('sh', {})]);
    assert.throws(
      () => refuseLacking([program('sh', {}), lacking('kvm-dsm-is-no-program', {})]),
      (error) =>
        error instanceof LabPackagesError &&
        error.code === 'ERR_LAB_PACKAGES' &&
        error.exitCode === 3 &&
        error.packages.includes('kvm-dsm-is-no-program') &&
        error.message.includes('kvm-dsm-is-no-program'),
    );
  });

  test('one who may not install is told the command', { skip: !isDebian() && 'no Debian system' }, async () => {
    const root = process.geteuid?.() === 0;
    if (root) process.seteuid?.(65534);
    try {
      await assert.rejects(
        installLacking([lacking('x', { debian: ['kvm-dsm-is-no-package'] })], () => assert.fail('it installs')),
        (error) =>
          error instanceof LabPackagesError && /apt-get install .* kvm-dsm-is-no-package'$/m.test(error.message),
      );
    } finally {
      if (root) process.seteuid?.(0);
    }
  });

  const all = [...new Set([debianSource, ...tarballNeeds, ...lanes.flatMap((lane) => laneNeeds(lane))])];

  test('has a package in each distribution, but for what a distribution does not have', () => {
    for (const family of ['debian', 'ubuntu', 'fedora', 'rhel', 'arch', 'alpine', 'suse'] as const) {
      const without = all.filter(({ packages }) => packagesIn(family, packages).length === 0).map(({ name }) => name);
      const expected = {
        debian: [],
        rhel: ["Debian's linux-source-6.12", 'busybox, statically linked', 'bochs (Bochs), with its firmware'],
      };
      assert.deepEqual(
        without,
        family in expected ? expected[family as 'rhel'] : ["Debian's linux-source-6.12"],
        family,
      );
    }
  });
});

describe('busybox', () => {
  test('is taken where it is linked statically, under any of its names', (t) => {
    const image = readBusybox();
    if (!image) return t.skip('there is no static busybox here');
    for (const name of ['busybox', 'busybox.static', 'busybox-static']) {
      const place = join(work, name);
      mkdirSync(place);
      writeFileSync(join(place, name), image);
      assert.ok(readBusybox([place])?.equals(image), name);
    }
    const dynamic = join(work, 'dynamic');
    mkdirSync(dynamic);
    cpSync(process.execPath, join(dynamic, 'busybox'), { dereference: true });
    assert.ok(readBusybox([dynamic]) === undefined, 'one that needs libraries');
    writeFileSync(join(dynamic, 'busybox'), '#!/bin/sh\nexec /usr/lib/busybox "$@"\n');
    assert.ok(readBusybox([dynamic]) === undefined, 'one that needs libraries');
    assert.ok(readBusybox([dynamic, join(work, 'busybox.static')]), 'the next place is looked at');
  });
});

describe("dpkg's answers", () => {
  test('only what dpkg calls installed is', () => {
    const text = 'installed\tbc\t1.07\nconfig-files\tflex\t2.6\n\nnot-installed\tbison\t\n';
    assert.deepEqual([...parseInstalled(text)], [['bc', '1.07']]);
  });

  test('a dpkg-query that answers nothing is none', () => {
    const { PATH } = process.env;
    const place = join(work, 'dpkg');
    mkdirSync(place);
    writeFileSync(join(place, 'dpkg-query'), '#!/bin/sh\n', { mode: 0o755 });
    process.env.PATH = place;
    try {
      assert.equal(isDebian(), false);
      assert.equal(installedVersions(['dpkg']).size, 0);
      rmSync(join(place, 'dpkg-query'));
      assert.ok(!existsSync(join(place, 'dpkg-query')));
      assert.equal(isDebian(), false);
    } finally {
      process.env.PATH = PATH;
    }
  });
});
