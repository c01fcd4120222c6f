/** The lanes: what each is, what a machine of it is told of itself, and the emulators. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { laneEnvironment, readLane } from '../../../lib/host/lane.ts';
import { kernelCommandLine } from '../../../lib/lab/boot/kernel-command-line.ts';
import { sharedLibraries } from '../../../lib/lab/disk/medium.ts';
import { type LabEmulatorError, runInLab } from '../../../lib/lab/index.ts';
import { installedVersions } from '../../../lib/lab/kernel/debian.ts';
import { findEmulator } from '../../../lib/lab/lanes/find-emulator.ts';
import { autoLane, laneNamed, laneNames, lanes } from '../../../lib/lab/lanes/index.ts';
import { chooseCpuModel, readBochsCpuModels, readBochsHelp, vmxBochs } from '../../../lib/lab/lanes/vmx-bochs.ts';
import { laneNeeds } from '../../../lib/lab/needs/machine.ts';
import { spawnBound } from '../../../lib/lab/process.ts';

describe('the lanes', () => {
  test('each has a name of its own, which is neither auto nor host', () => {
    assert.deepEqual(laneNames, ['vmx', 'svm']);
    assert.equal(new Set([...laneNames, 'auto', 'host']).size, lanes.length + 2);
    assert.deepEqual(laneNames.map(laneNamed), lanes);
    assert.equal(autoLane, 'vmx');
  });

  test('each needs an emulator, and what every boot takes; of an emulator that is given nothing is asked', () => {
    for (const lane of lanes) {
      const names = laneNeeds(lane).map(({ name }) => name);
      for (const part of ['busybox', 'xorriso', 'setpriv', 'flock', lane.emulator.binary])
        assert.ok(
          names.some((name) => name.includes(part)),
          `${lane.name}: ${part}`,
        );
      assert.equal(new Set(names).size, names.length);
      const given = laneNeeds(lane, '/opt/emulator').map(({ name }) => name);
      assert.deepEqual(given, names.slice(0, -1));
    }
  });

  test('a machine reads of itself what the lab put into its environment', () => {
    for (const { name, title, vfioFunction, quirks } of lanes)
      assert.deepEqual(readLane(laneEnvironment({ name, title, vfioFunction, quirks })), {
        name,
        title,
        vfioFunction,
        quirks,
      });
    assert.equal(readLane({}), null);
    const { title, quirks } = readLane({ KVM_DSM_LANE: 'new' })!;
    assert.deepEqual(
      [title, quirks],
      ['the new lab', { stepsBeforeFirst: null, wasmTierBreaks: false, bootReport: null }],
    );
  });

  test('a lane that there is not is refused before anything is built', async () => {
    const options = { lane: 'arm' as 'vmx', argv: [], stdout: process.stdout, stderr: process.stderr };
    await assert.rejects(runInLab(options), { code: 'ERR_ARGUMENT' });
  });

  test("the kernel's command line: the lab's words, the lane's, and the user's last", () => {
    const line = (lane: (typeof lanes)[number], verbose: boolean) =>
      kernelCommandLine(lane, { path: '', kind: lane.emulator.kind, version: '' }, 'panic=7', verbose);
    const lab = 'console=ttyS0,115200 quiet loglevel=5 panic=-1 printk.devkmsg=on no_timer_check tsc=reliable';
    assert.equal(
      line(laneNamed('vmx'), false),
      `${lab} idle=nomwait tsc_early_khz=200000 kvm_intel.longest_stay=2000000 panic=7`,
    );
    assert.equal(line(laneNamed('svm'), false), `${lab} kvm.tsc_tolerance_ppm=100000 lab_cpus=6 panic=7`);
    assert.equal(
      line(laneNamed('svm'), true),
      `${lab.replace('quiet', 'ignore_loglevel')} kvm.tsc_tolerance_ppm=100000 lab_cpus=6 panic=7`,
    );
  });
});

describe('emulators', () => {
  const models = ['bx_generic', 'corei7_sandy_bridge_2600k', 'corei7_haswell_4770', 'corei7_skylake_x', 'tigerlake'];

  test('the steadiest model up to 2.7, one with posted interrupts where a newer Bochs has it', () => {
    assert.equal(chooseCpuModel('2.7', models), 'corei7_haswell_4770');
    assert.equal(chooseCpuModel('2.8', models), 'corei7_skylake_x');
    assert.equal(chooseCpuModel('3.0', models), 'corei7_skylake_x');
    assert.equal(chooseCpuModel('3.0', models.slice(0, 3)), 'corei7_haswell_4770');
    assert.equal(chooseCpuModel('3.0', ['bx_generic']), undefined);
  });

  const bochs = spawnSync('bochs', ['--help'], { encoding: 'utf8', env: { ...process.env, TERM: 'xterm' } });
  test('reads what this machine’s Bochs tells of itself', { skip: bochs.error && 'there is no Bochs here' }, () => {
    const help = `${bochs.stdout}${bochs.stderr}`;
    const { version, debugger: debug } = readBochsHelp(help);
    assert.match(version, /^\d+\.\d+/);
    assert.equal(debug, help.includes('-rc filename'));
    const cpus = spawnSync('bochs', ['--help', 'cpu'], { encoding: 'utf8' });
    const list = readBochsCpuModels(`${cpus.stdout}${cpus.stderr}`);
    assert.ok(list.includes('bx_generic') && list.includes('corei7_haswell_4770'), list.join(' '));
    assert.ok(!list.some((model) => /supported|bochs|quit/i.test(model)), list.join(' '));
    const found = findEmulator(vmxBochs);
    assert.equal(found.kind, 'bochs');
    assert.match((found as { display?: string }).display ?? '', /^(nogui|term)$/);
    assert.equal(found.version, version);
  });

  test('no program is taken from the current folder, whatever PATH says', () => {
    const dir = mkdtempSync(join(tmpdir(), 'kvm-dsm-test-'));
    const { PATH, XDG_CACHE_HOME } = process.env;
    const before = process.cwd();
    for (const name of [
      'qemu-system-x86_64',
      'dpkg-query',
      'setpriv',
      'ldd',
      'bochs',
      'busybox',
      'xorriso',
      'flock',
      'sh',
    ])
      writeFileSync(join(dir, name), '#!/bin/sh\necho ran >>ran\n', { mode: 0o755 });
    try {
      process.chdir(dir);
      Object.assign(process.env, { PATH: `:.:${PATH}`, XDG_CACHE_HOME: join(dir, 'cache') });
      installedVersions(['dpkg']);
      for (const need of laneNeeds(laneNamed('vmx'))) need.isThere();
      sharedLibraries([process.execPath]);
      spawnBound('sh', ['-c', 'true'], { stdio: 'ignore' }).kill();
      try {
        assert.notEqual(findEmulator(laneNamed('svm')).path, join(dir, 'qemu-system-x86_64'));
      } catch (error) {
        assert.equal((error as LabEmulatorError).code, 'ERR_LAB_EMULATOR', 'it is nowhere else');
      }
      assert.ok(!existsSync('ran'));
    } finally {
      process.chdir(before);
      Object.assign(process.env, { PATH, XDG_CACHE_HOME });
      if (XDG_CACHE_HOME === undefined) delete process.env.XDG_CACHE_HOME;
      rmSync(dir, { recursive: true, force: true });
    }
  });

  test('a help text without -rc is that of a build without the debugger', () => {
    assert.deepEqual(readBochsHelp('Usage: bochs\n  -dumpstats N\n  Bochs x86 Emulator 3.0\n'), {
      version: '3.0',
      debugger: false,
    });
  });
});
