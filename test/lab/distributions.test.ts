/** The lab on other distributions: without dpkg, and with each part where they have it. */
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { buildLab } from '../../lib/lab/index.ts';
import { findEmulator } from '../../lib/lab/lanes/find-emulator.ts';
import { laneNamed } from '../../lib/lab/lanes/index.ts';
import { readBusybox } from '../../lib/lab/needs/busybox.ts';
import { findIsolinux } from '../../lib/lab/needs/syslinux.ts';
import { kvmDsm } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';
import { type Differences, noOtherSystem, otherSystem } from '../support/other-system.ts';
import { testFolder } from '../support/test-folder.ts';

const work = testFolder();

const folder = (name: string) => {
  const path = join(work, name);
  mkdirSync(path, { recursive: true });
  return path;
};

/** Runs a script in that lane, on a system with these differences; with its kernel, which need not be found there. */
async function passes(lane: 'vmx' | 'svm', differences: Differences, ...wrapper: string[]): Promise<void> {
  const { kernel } = await buildLab({ lane });
  const command = ['run', 'test/cli/scripts/passes.ts', '--on', lane, '--kernel', kernel];
  const { code, stdout, stderr } = kvmDsm(command, 280, [...otherSystem(differences), ...wrapper]);
  assert.equal(code, 0, stdout + stderr);
}

describe('the lab of another distribution', { skip: noOtherSystem || labMissing(), timeout: 600_000 }, () => {
  test('without dpkg: the kernel that is here is booted', () => {
    const { code, stdout, stderr } = kvmDsm(
      ['run', 'test/cli/scripts/passes.ts', '--on', 'svm'],
      280,
      otherSystem({ release: 'fedora' }),
    );
    assert.equal(code, 0, stdout + stderr);
    assert.doesNotMatch(stderr, /compile|extract/);
  });

  test("svm: with Red Hat's place of QEMU, where it has no folder in PATH", async () => {
    const qemu = findEmulator(laneNamed('svm')).path;
    const libexec = folder('libexec');
    copyFileSync(qemu, join(libexec, 'qemu-kvm'));
    chmodSync(join(libexec, 'qemu-kvm'), 0o755);
    await passes('svm', { release: 'rocky', hidden: [qemu], moved: { [libexec]: '/usr/libexec' } });
  });

  test("svm: with Alpine's name of the static busybox, beside a dynamic one", async () => {
    const bin = folder('bin');
    writeFileSync(join(bin, 'busybox.static'), readBusybox()!);
    // Node.js, which needs libraries, passes for the other one.
    const moved = existsSync('/usr/bin/busybox') ? { [process.execPath]: '/usr/bin/busybox' } : {};
    await passes('svm', { release: 'alpine', moved }, 'env', `PATH=${process.env.PATH}:${bin}`);
  });

  test("vmx: with Arch's folders of syslinux", async () => {
    const { loader, hybridStart, module } = findIsolinux()!;
    const bios = folder('syslinux/bios');
    for (const file of [loader, hybridStart, module]) copyFileSync(file, join(bios, file.split('/').at(-1)!));
    const hidden = [dirname(loader)];
    await passes('vmx', { release: 'arch', hidden, moved: { [dirname(bios)]: '/usr/lib/syslinux' } });
  });
});
