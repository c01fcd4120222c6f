/** Debian's packages: which are missing, and what `lab build` says where it cannot install them. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { LabPackagesError } from '../../../lib/lab/errors.ts';
import { buildLab } from '../../../lib/lab/index.ts';
import {
  installCommand,
  installPackages,
  isDebian,
  missingPackages,
  parseInstalled,
} from '../../../lib/lab/kernel/debian.ts';
import { kvmDsm } from '../../support/command.ts';

const empty = mkdtempSync(join(tmpdir(), 'kvm-dsm-test-'));
after(() => rmSync(empty, { recursive: true, force: true }));

async function refusal(build: () => Promise<unknown>): Promise<LabPackagesError> {
  const error = await build().then(
    () => assert.fail('it was not refused'),
    (refused: unknown) => refused,
  );
  assert.ok(error instanceof LabPackagesError, String(error));
  assert.equal(error.code, 'ERR_LAB_PACKAGES');
  assert.equal(error.exitCode, 3);
  return error;
}

test('a system without the tools of Debian is told what it needs', async () => {
  const { PATH, XDG_CACHE_HOME } = process.env;
  Object.assign(process.env, { PATH: empty, XDG_CACHE_HOME: empty });
  try {
    const { packages, message } = await refusal(() => buildLab({ install: true }));
    assert.ok(packages.includes('gcc') && packages.includes('bochs'));
    assert.match(message, /no Debian system/);
  } finally {
    Object.assign(process.env, { PATH, XDG_CACHE_HOME });
    if (XDG_CACHE_HOME === undefined) delete process.env.XDG_CACHE_HOME;
  }
});

test('one who may not install packages is told the command', { skip: !isDebian() && 'no Debian system' }, async () => {
  const name = 'kvm-dsm-is-no-package';
  assert.deepEqual(missingPackages(['dpkg', name]), [name]);
  const root = process.geteuid?.() === 0;
  if (root) process.seteuid?.(65534);
  try {
    const { packages, message } = await refusal(() => installPackages([name], () => {}));
    assert.deepEqual(packages, [name]);
    assert.match(message, new RegExp(`apt-get install .* ${name}`));
  } finally {
    if (root) process.seteuid?.(0);
  }
});

test('only a build installs: a command that boots says what is missing, and how it is installed', {
  skip: !isDebian() && 'no Debian system',
}, () => {
  const sentinel = join(empty, 'bin');
  mkdirSync(sentinel);
  writeFileSync(join(sentinel, 'apt-get'), `#!/bin/sh\ntouch '${sentinel}/ran'\nexit 1\n`, { mode: 0o755 });
  // Of a dpkg database that is not there, nothing is installed.
  const PATH = `${sentinel}:${process.env.PATH}`;
  const before = ['env', `PATH=${PATH}`, `DPKG_ADMINDIR=${empty}/none`, `XDG_CACHE_HOME=${empty}`];
  for (const command of [['run', 'examples/first-ipi.ts'], ['doctor'], ['abi'], ['test']]) {
    const { code, stdout, stderr } = kvmDsm([...command, '--on', 'svm'], 60, before);
    const said = stdout + stderr;
    // Each check of the suite that could not be run is one that failed.
    assert.equal(code, command[0] === 'test' ? 1 : 3, said);
    assert.match(said, /Debian packages are missing: .*qemu-system-x86 .*\n.*apt-get install -y .*qemu-system-x86/);
    assert.doesNotMatch(said, / bochs/, 'of the other lane nothing is asked for');
    assert.ok(!existsSync(join(sentinel, 'ran')), `${command[0]} called apt-get`);
  }
  if (process.geteuid?.() !== 0) return;
  const { stderr } = kvmDsm(['lab', 'build'], 60, before);
  assert.match(stderr, /installing .*qemu-system-x86/);
  assert.ok(existsSync(join(sentinel, 'ran')));
});

describe('Debian packages', () => {
  test('only what dpkg calls installed is', () => {
    const text = 'installed\tbc\t1.07\nconfig-files\tflex\t2.6\n\nnot-installed\tbison\t\n';
    assert.deepEqual([...parseInstalled(text)], [['bc', '1.07']]);
  });

  test('what is missing is listed in the given order', {
    skip: spawnSync('dpkg-query', ['--version']).error?.message,
  }, () => {
    assert.deepEqual(missingPackages(['no-such-package-2', 'dpkg', 'no-such-package-1']), [
      'no-such-package-2',
      'no-such-package-1',
    ]);
    assert.deepEqual(missingPackages([]), []);
  });

  test('installCommand is one line for a shell', () => {
    const command = installCommand(['bc', 'flex']);
    assert.equal(command.split('\n').length, 1);
    assert.match(command, /apt-get install -y --no-install-recommends bc flex/);
  });
});
