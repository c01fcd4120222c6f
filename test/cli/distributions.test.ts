/** The command on other distributions: what it finds there, what it says of what is missing, and that it installs nothing. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { programFolders } from '../../lib/host/programs.ts';
import { checksum, currentKey } from '../../lib/lab/kernel/cache.ts';
import { isDebian } from '../../lib/lab/kernel/debian.ts';
import type { LabStatus } from '../../lib/lab/status.ts';
import { kvmDsm } from '../support/command.ts';
import { kernelImage } from '../support/kernel-image.ts';
import { labMissing } from '../support/lab.ts';
import { noOtherSystem, otherSystem } from '../support/other-system.ts';
import { testFolder } from '../support/test-folder.ts';

const work = testFolder();

const emptyCache = ['env', `XDG_CACHE_HOME=${join(work, 'empty')}`];
const isolinux = ['/usr/lib/ISOLINUX', '/usr/lib/syslinux', '/usr/share/syslinux', '/usr/local/share/syslinux'];

/** Where this machine may have them. */
const everyPathOf = (...names: string[]) =>
  [...new Set([...programFolders(), ...programFolders('')])].flatMap((folder) =>
    names.map((name) => join(folder, name)),
  );

describe('without dpkg', { skip: noOtherSystem || labMissing() }, () => {
  test('a kernel in the cache is used, and the status says what there is', () => {
    const source = 'of another machine';
    const key = currentKey(source);
    const folder = join(work, 'cached/kvm-dsm/kernels', key);
    mkdirSync(folder, { recursive: true });
    const kernel = kernelImage(join(folder, 'bzImage'));
    writeFileSync(join(folder, 'config'), '');
    const info = { key, release: '6.12.0-test', source, series: 'rfc-v2', built: '2026', sha256: checksum(kernel) };
    writeFileSync(join(folder, 'info.json'), JSON.stringify(info));
    const fedora = [...otherSystem({ release: 'fedora' }), 'env', `XDG_CACHE_HOME=${join(work, 'cached')}`];
    const { code, stdout, stderr } = kvmDsm(['lab', 'build'], 60, fedora);
    assert.deepEqual([code, stdout], [0, `${kernel}\n`], stderr);
    const status = JSON.parse(kvmDsm(['lab', 'status', '--json'], 60, fedora).stdout) as LabStatus;
    const { debian, distribution, missing } = status.packages;
    assert.deepEqual([debian, distribution, missing], [false, 'Fedora Linux', []]);
    assert.equal(status.image.state, 'present');
    for (const { usable, reasons } of Object.values(status.lanes)) assert.ok(usable, reasons.join());
    const doctor = kvmDsm(['doctor', '--json'], 60, fedora);
    const lab = (JSON.parse(doctor.stdout) as { checks: { id: string; status: string }[] }).checks.find(
      ({ id }) => id === 'lab',
    );
    assert.equal(lab?.status, 'ok', doctor.stdout);
  });

  test('what no kernel is ready of cannot be built of Debian’s source: the way with a tarball is told', () => {
    const fedora = [...otherSystem({ release: 'fedora' }), ...emptyCache];
    const { code, stderr } = kvmDsm(['lab', 'build', '--series', 'fixed'], 60, fedora);
    assert.equal(code, 3, stderr);
    assert.match(stderr, /there is no source to build a kernel from/);
    assert.match(stderr, /--kernel-src linux-6\.12\.\d+\.tar\.xz --series fixed/);
  });
});

describe('what is missing is told in the words of the distribution', { skip: noOtherSystem }, () => {
  for (const [release, command] of [
    ['fedora', /Fedora Linux packages are missing: .*\n.*dnf install -y .*xorriso.* syslinux syslinux-nonlinux bochs/],
    ['arch', /Arch Linux packages are missing: .*\n.*pacman -S .*libisoburn.* syslinux bochs/],
    ['alpine', /Alpine Linux packages are missing: .*\n.*apk add .*busybox-static xorriso.* syslinux bochs/],
    ['suse', /openSUSE Tumbleweed packages are missing: .*\n.*zypper .*install .*xorriso syslinux bochs/],
    ['rocky', /Rocky Linux packages are missing: [\s\S]*no package of Rocky Linux is known to have: busybox.*; bochs/],
    ['other', /lacks, and no package of Slackware is known to have: busybox.*; xorriso; .*isolinux\.bin.*; bochs/],
  ] as const)
    test(release, () => {
      const busybox = ['busybox', 'busybox.static', 'busybox-static'];
      const hidden = [...everyPathOf('bochs', 'xorriso', ...busybox), ...isolinux];
      const system = [...otherSystem({ release, hidden }), ...emptyCache];
      for (const words of [
        ['lab', 'build'],
        ['doctor', '--on', 'vmx'],
      ]) {
        const { code, stdout, stderr } = kvmDsm(words, 60, system);
        assert.equal(code, 3, stdout + stderr);
        assert.match(stdout + stderr, command);
        assert.doesNotMatch(stdout + stderr, /apt-get/);
      }
      const { missing, command: install } = (
        JSON.parse(kvmDsm(['lab', 'status', '--json'], 60, system).stdout) as LabStatus
      ).packages;
      assert.ok(missing.length >= 4, missing.join());
      assert.equal(install === null, release === 'other');
    });
});

describe('on Debian', { skip: noOtherSystem || (!isDebian() && 'no Debian system') }, () => {
  test('only a build installs: a command that boots says what is missing, and how it is installed', () => {
    const sentinel = join(work, 'bin');
    mkdirSync(sentinel);
    writeFileSync(join(sentinel, 'apt-get'), `#!/bin/sh\ntouch '${sentinel}/ran'\nexit 1\n`, { mode: 0o755 });
    const PATH = `${sentinel}:${process.env.PATH}`;
    const system = [
      ...otherSystem({ hidden: everyPathOf('qemu-system-x86_64', 'bochs') }),
      ...emptyCache,
      `PATH=${PATH}`,
    ];
    for (const command of [['run', 'examples/first-ipi.ts'], ['doctor'], ['abi'], ['test']]) {
      const { code, stdout, stderr } = kvmDsm([...command, '--on', 'svm'], 60, system);
      const said = stdout + stderr;
      // Each check of the suite that could not be run is one that failed.
      assert.equal(code, command[0] === 'test' ? 1 : 3, said);
      assert.match(said, /Debian packages are missing: .*qemu-system-x86 .*\n.*apt-get install -y .*qemu-system-x86/);
      assert.doesNotMatch(said, / bochs/, 'of the other lane nothing is asked for');
      assert.ok(!existsSync(join(sentinel, 'ran')), `${command[0]} called apt-get`);
    }
    if (process.geteuid?.() !== 0) return;
    const { stderr } = kvmDsm(['lab', 'build'], 60, system);
    assert.match(stderr, /installing .*qemu-system-x86/);
    assert.ok(existsSync(join(sentinel, 'ran')));
  });
});
