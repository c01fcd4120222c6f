/** docs/kvm-api.md against the code: its ioctls are KVM's, and its methods are there. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { capabilities } from '../../../lib/abi/kvm/capability.ts';
import { ioctls } from '../../../lib/abi/kvm/ioctl.ts';
import * as library from '../../../lib/index.ts';

const text = readFileSync(new URL('../../../docs/kvm-api.md', import.meta.url), 'utf8');
const rows = text
  .split('\n')
  .filter((line) => /^\| (KVM_|kvm_)/.test(line))
  .map((line) => line.split('|').map((cell) => cell.trim()));

test('each name is one of the tables', () => {
  const names = rows.flatMap(([, first]) => first!.match(/KVM_[A-Z0-9_]+/g) ?? []);
  assert.ok(names.length > 70, `${names.length} names`);
  const tables = [ioctls, capabilities, library.defaultProfile.ioctls, library.vlpiIoctls];
  for (const name of names)
    assert.ok(
      tables.some((table) => name in table),
      name,
    );
});

test('each method and function exists', () => {
  const classes: Record<string, object> = {
    kvm: library.Kvm.prototype,
    vm: library.Vm.prototype,
    vcpu: library.Vcpu.prototype,
    device: library.Device.prototype,
    kvmVfio: library.VfioPseudoDevice.prototype,
    Synic: library.Synic,
  };
  const methods = rows.flatMap(([, , second]) => second!.match(/`[A-Za-z0-9.]+(\(\))?`/g) ?? []);
  assert.ok(methods.length > 80, `${methods.length} methods`);
  for (const method of methods) {
    const [owner, name] = method.replace(/[`()]/g, '').split('.') as [string, string | undefined];
    if (name === undefined) assert.ok(owner in library, method);
    else assert.ok(name in classes[owner]!, method);
  }
});
