/** What the doctor finds on machines of several kinds, by their files. */
import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { checkCpu } from '../../../lib/doctor/cpu.ts';
import { failureAdvice } from '../../../lib/doctor/forwarding.ts';
import { checkModuleParameters } from '../../../lib/doctor/kernel.ts';
import { checkLockdown } from '../../../lib/doctor/lockdown.ts';
import { readDeviceAccess, whyRefused } from '../../../lib/host/device-access.ts';
import { missingDeviceAdvice } from '../../../lib/host/kvm-absence.ts';
import { readKvmFacts } from '../../../lib/host/kvm-facts.ts';
import { readLockdown } from '../../../lib/host/lockdown.ts';
import { type MachineFiles, machineRoot, machines } from '../../support/machine-files.ts';
import { testFolder } from '../../support/test-folder.ts';

const work = testFolder();
type Name = keyof typeof machines;

function examined(name: Name) {
  const root = machineRoot(work, machines[name] as MachineFiles);
  const facts = readKvmFacts(root);
  const checks = [
    ...checkCpu(facts),
    ...checkModuleParameters(join(root, 'sys/module'), facts.loaded ? facts.module : null),
    ...checkLockdown(readLockdown(root)),
  ];
  return { facts, checks };
}

/** The findings that ask for something, as `id: finding -> advice`. */
const heeded = (name: Name) =>
  examined(name)
    .checks.filter(({ status, advice }) => status === 'warn' || advice !== null)
    .map(({ id, finding, advice }) => `${id}: ${finding} -> ${advice}`);

function only(name: Name, ...patterns: RegExp[]): void {
  const found = heeded(name);
  assert.equal(found.length, patterns.length, found.join('\n'));
  for (const [at, pattern] of patterns.entries()) assert.match(found[at]!, pattern);
}

describe('Intel', () => {
  test('all is well but APICv', () => only('intel', /^module\.enable_apicv: .* -> .*kvm_intel\.enable_apicv=0/));
  test('a CPU without unrestricted guests', () =>
    only(
      'oldIntel',
      /^module\.ept: kvm_intel\.ept=N: .*page tables/,
      /^module\.unrestricted_guest: .*=N: KVM's instruction emulator.* -> Use flat32 or long64/,
      /^module\.nested: .*=N: .* -> .*kvm_intel\.nested=1/,
    ));
  test('the module is not loaded', () =>
    only('notLoaded', /^module: kvm_intel is not loaded -> .*sudo modprobe kvm_intel/));
  test('the kernel has no such module', () =>
    only('noModules', /^module: Linux 6\.1\.0-37-amd64 has no kvm_intel.* -> .*CONFIG_KVM_INTEL/));
  test('off in the firmware, by the MSR and by the log', () => {
    only('offByMsr', /^cpu\.virtualization: The firmware has switched VMX off -> Enable Intel Virt/);
    only('offByLog', /^cpu\.virtualization: The firmware has switched VMX off -> Enable Intel Virt/);
  });
  test('on in the firmware, and still not there', () => only('onByMsr', /^cpu\.virtualization: The CPU shows no VMX/));
  test('a locked down kernel', () => {
    const found = heeded('lockedDown');
    assert.match(found.at(-1)!, /^lockdown: The kernel is locked down \(integrity\).* -> .*mokutil/);
  });
});

describe('AMD: nothing is said of Intel', () => {
  const names = ['amd', 'amdAvic', 'amdOffByMsr', 'amdOffByLog', 'ec2'] as const;
  for (const name of names)
    test(name, () => {
      const advice = heeded(name).join('\n');
      assert.doesNotMatch(advice, /kvm_intel|Intel|VT-x|VMX(?! lab)|ept/, name);
    });
  test('all is well', () => only('amd'));
  test('AVIC, no nested pages, no nesting', () =>
    only('amdAvic', /^module\.avic: .*kvm_amd\.avic=0/, /^module\.npt: /, /^module\.nested: .*kvm_amd\.nested=1/));
  test('off in the firmware, by the MSR and by the log', () => {
    only('amdOffByMsr', /^cpu\.virtualization: The firmware has switched SVM off -> Enable SVM Mode/);
    only('amdOffByLog', /^cpu\.virtualization: The firmware has switched SVM off -> Enable SVM Mode/);
  });
});

describe('virtual machines', () => {
  const nested: readonly [Name, string | null, RegExp][] = [
    ['libvirt', 'QEMU', /-cpu host/],
    ['wsl', 'Hyper-V', /nestedVirtualization=true in \.wslconfig/],
    ['ec2', 'KVM', /kvm_amd with nested=1.*bare metal/],
    ['virtualbox', 'VirtualBox', /--nested-hw-virt on/],
  ];
  for (const [name, hypervisor, advice] of nested)
    test(`${name}: nested virtualization is off`, () => {
      assert.equal(examined(name).facts.hypervisor?.name, hypervisor);
      const found = heeded(name).find((line) => line.startsWith('cpu.virtualization'))!;
      assert.match(found, /nested virtualization is off/);
      assert.match(found, advice);
    });
  test('an Azure runner: KVM under Hyper-V, whose failed entries have no reason', () =>
    only(
      'azure',
      /^hypervisor: This is a virtual machine of Hyper-V.*nested.* -> .*FAIL_ENTRY and reason 0.*enlightened_vmcs=0/,
    ));
  test('an entry that failed there', () => {
    const exit = { name: 'KVM_EXIT_FAIL_ENTRY', reason: 9, hardwareEntryFailureReason: 0n, cpu: 2 } as const;
    const advice = (name: Name, reason = 0n) =>
      failureAdvice({ ...exit, hardwareEntryFailureReason: reason }, examined(name).facts);
    assert.match(advice('azure'), /KVM_CAP_X86_DISABLE_EXITS/);
    assert.match(advice('libvirt'), /nested virtualization does not work here/);
    assert.match(advice('intel'), /kernel's log/);
    assert.match(advice('azure', 7n), /kernel's log/);
  });
});

describe('no device', () => {
  const advice = (name: Name, path = '/dev/kvm') => missingDeviceAdvice(path, examined(name).facts);
  test('says the first thing that is missing', () => {
    assert.match(advice('notLoaded'), /sudo modprobe kvm_intel.*device comes with the module/);
    assert.match(advice('docker'), /^Start the container with --device \/dev\/kvm/);
    assert.match(advice('offByMsr'), /firmware has switched VMX off/);
    assert.match(advice('intel'), /sudo mknod \/dev\/kvm c 10 232/);
    assert.match(advice('amd', '/dev/kmv'), /which is \/dev\/kvm/);
  });
});

describe('no permission', () => {
  const gid = process.getgid!();
  const etc = (members: string) => ({
    'etc/passwd': 'root:x:0:0:root:/root:/bin/bash\nada:x:4321:4321:Ada:/home/ada:/bin/bash\n',
    'etc/group': `root:x:0:\nkvm:x:${gid || 78}:${members}\n`,
  });
  function why(mode: number, members = '', groups = [4321], more: MachineFiles = {}) {
    const root = machineRoot(work, { ...etc(members), ...more, 'dev/kvm': '' });
    chmodSync(join(root, 'dev/kvm'), mode);
    const access = readDeviceAccess('/dev/kvm', { uid: 4321, groups }, root)!;
    // A file of root's group stands for one of group kvm.
    return whyRefused(
      access.gid === 0 && mode !== 0o600 ? { ...access, gid: 78, group: 'kvm', member: members !== '' } : access,
    );
  }
  test('the user is not in the group', () => {
    const { because, advice } = why(0o660);
    assert.equal(because, 'it belongs to group kvm, mode 0660, and ada is not in that group');
    assert.match(advice, /usermod -aG kvm/);
  });
  test('has joined it after the login', () => assert.match(why(0o660, 'ada').advice, /Log in again, or: newgrp kvm/));
  test('is in a container', () => assert.match(why(0o660, '', [4321], { '.dockerenv': '' }).advice, /--group-add \d+/));
  test('no group may open it', () => assert.match(why(0o600).advice, /udev rule/));
  test('the mode allows it', () => {
    assert.match(why(0o666).because, /something else forbids it/);
    assert.match(why(0o666, '', [4321], { '.dockerenv': '' }).advice, /--device \/dev\/kvm/);
  });
});
