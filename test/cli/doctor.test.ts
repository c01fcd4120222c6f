import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { HealthCheck } from '../../lib/doctor/index.ts';
import { kvmDsm, root } from '../support/command.ts';
import { noStockKvm } from '../support/host.ts';
import { labMissing } from '../support/lab.ts';
import { asNobody, cannotBeNobody } from '../support/nobody.ts';

interface Document {
  version: number;
  on: string;
  kernel: string;
  profile: string;
  ready: boolean;
  checks: HealthCheck[];
}

function doctor(args: string[], wrapper: string[] = []): { code: number | null; document: Document } {
  const { code, stdout, stderr } = kvmDsm(['doctor', '--json', ...args], 120, wrapper);
  assert.notEqual(stdout, '', stderr);
  return { code, document: JSON.parse(stdout) as Document };
}

function failed(document: Document): string[] {
  return document.checks.filter(({ status }) => status === 'fail').map(({ id }) => id);
}

test('no device', () => {
  const { code, document } = doctor(['--device', '/nonexistent/kvm']);
  assert.deepEqual(failed(document), ['device.present']);
  assert.equal(document.ready, false);
  assert.equal(code, 3);
});

test('no KVM, and a lab: ready there, as the other commands would run', {
  skip: existsSync('/dev/kvm') || labMissing(),
}, () => {
  const { code, document } = doctor([]);
  assert.deepEqual([code, document.ready, failed(document)], [0, true, []]);
  assert.equal(document.checks.find(({ id }) => id === 'device.present')?.status, 'warn');
});

test('a file that is not KVM', () => {
  const { code, document } = doctor(['--device', '/dev/null']);
  assert.deepEqual(failed(document), ['device.kvm']);
  assert.equal(code, 3);
});

test('no permission', { skip: cannotBeNobody || noStockKvm }, () => {
  const { code, document } = doctor(['--on', 'host'], asNobody);
  assert.deepEqual(failed(document), ['device.permission']);
  const found = document.checks.find(({ id }) => id === 'device.permission');
  // Where the device is root's alone there is no group to join.
  const { gid, mode } = statSync('/dev/kvm');
  assert.match(found!.advice!, gid === 0 || (mode & 0o60) !== 0o60 ? /chown root:kvm \/dev\/kvm/ : /usermod -aG kvm/);
  assert.equal(code, 3);
});

test('a stock kernel on the host is not ready, and says what to do', { skip: noStockKvm }, () => {
  const { code, document } = doctor(['--on', 'host']);
  assert.deepEqual([document.version, document.on, document.profile], [1, 'host', 'rfc-v2']);
  assert.deepEqual(failed(document), ['forwarding']);
  for (const { id, status, advice } of document.checks)
    if (status === 'fail' || status === 'warn') assert.ok(advice, `${id} says what to do`);
  assert.equal(code, 3);
  const words = kvmDsm(['doctor', '--on', 'host']);
  assert.match(words.stdout, /does not forward ICR writes/);
  assert.equal(words.code, 3);
});

test('--kernel asks for the lab: a kernel that is not there is told, and this host is not looked at instead', () => {
  const { code, stderr } = kvmDsm(['doctor', '--kernel', '/no/such/bzImage']);
  assert.match(stderr, /the kernel \/no\/such\/bzImage does not exist \[ERR_LAB_KERNEL_IMAGE\]/);
  assert.equal(code, 2);
});

test('docs/doctor.md has each finding, and no other', () => {
  const folder = join(root, 'lib/doctor');
  const sources = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'));
  const made = sources.flatMap((text) => [
    ...text.matchAll(/(?:healthCheck\(\s*|id: |return )['`]([a-z][\w.-]*?)(?:\.?\$\{\w+\})?['`]/g),
  ]);
  const ids = new Set(made.map(([, id]) => id!));
  for (const id of ['device.present', 'device.open', 'device.permission', 'module', 'cap', 'lab', 'profile'])
    assert.ok(ids.has(id), id);
  const rows = readFileSync(join(root, 'docs/doctor.md'), 'utf8').matchAll(/^\| `([\w.-]+?)(?:\.<\w+>)?` \|/gm);
  assert.deepEqual([...new Set([...rows].map(([, id]) => id!))].sort(), [...ids].sort());
});
