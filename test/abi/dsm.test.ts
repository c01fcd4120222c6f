/** The profiles against the user space headers of this repository's kernel part. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { fixedV1 } from '../../lib/abi/dsm/fixed-v1.ts';
import { gvmMain, sharedMemoryRequests } from '../../lib/abi/dsm/gvm-main.ts';
import * as gvmOldModule from '../../lib/abi/dsm/gvm-old.ts';
import * as rfcV2Module from '../../lib/abi/dsm/rfc-v2.ts';
import { isLayout, type Layout } from '../../lib/abi/layout.ts';
import { ask, layoutProbes, noCompiler, type Probe } from './c.ts';
import { uapiOf } from './uapi.ts';

const include = fileURLToPath(new URL('../../kernel/rfc-v2/include/uapi', import.meta.url));

test('profile rfc-v2 is <linux/kvm_dsm.h> and <linux/kvm_dsm_exit.h>', { skip: noCompiler }, () => {
  const { rfcV2 } = rfcV2Module;
  const layouts = (Object.values(rfcV2Module) as unknown[]).filter(isLayout);
  const probes: Probe[] = layouts.flatMap((layout) => layoutProbes(layout, () => undefined));
  for (const [name, exit] of Object.entries(rfcV2.exits)) {
    probes.push({ label: name, expression: name, expected: exit.reason });
  }
  for (const [name, ioctl] of Object.entries(rfcV2.ioctls)) {
    probes.push({ label: name, expression: name, expected: ioctl.request });
  }
  const answers = ask(['linux/kvm_dsm.h', 'linux/kvm_dsm_exit.h'], probes, [include]);
  assert.deepEqual(answers.wrong, []);
  assert.equal(answers.right.length, probes.length);
  assert.equal(layouts.length, 7);
});

test('profiles gvm-main and gvm-old are <linux/kvm_dsm_abi.h>, and <linux/kvm_dsm.h> besides', {
  skip: noCompiler,
}, () => {
  const { gvmOld } = gvmOldModule;
  const layouts = (Object.values(gvmOldModule) as unknown[]).filter(isLayout);
  const probes: Probe[] = layouts.flatMap((layout) => layoutProbes(layout, () => undefined));
  for (const [name, exit] of Object.entries(gvmOld.exits))
    probes.push({ label: name, expression: `${name}_OLD`, expected: exit.reason });
  for (const [name, request] of Object.entries(sharedMemoryRequests))
    probes.push({ label: name, expression: name, expected: request });
  for (const [name, exit] of Object.entries(gvmMain.exits))
    probes.push({ label: name, expression: name, expected: exit.reason });
  for (const [name, request] of Object.entries(gvmMain.requests))
    probes.push({ label: name, expression: name, expected: request });
  const { KVM_DSM_IPI, KVM_DSM_X2APIC, KVM_DSM_APIC_BASE } = gvmOld.requests;
  probes.push(
    { label: 'KVM_DSM_IPI', expression: 'KVM_DSM_IPI_OLD', expected: KVM_DSM_IPI },
    { label: 'KVM_DSM_X2APIC', expression: 'KVM_DSM_X2APIC', expected: KVM_DSM_X2APIC },
    { label: 'KVM_DSM_APIC_BASE', expression: 'KVM_DSM_APIC_BASE', expected: KVM_DSM_APIC_BASE },
  );
  const answers = ask(['linux/kvm_dsm_abi.h'], probes, [include]);
  assert.deepEqual(answers.wrong, []);
  assert.equal(answers.right.length, probes.length);
  assert.equal(layouts.length, 2);
});

test('profile fixed-v1 is what the corrected series puts into <linux/kvm.h>', { skip: noCompiler }, (t) => {
  const { exits, ioctls, optIn } = fixedV1;
  const layouts = [
    ...Object.values(exits).map(({ payload }) => payload),
    ...Object.values(ioctls).map(({ argument }) => argument),
  ];
  const probes: Probe[] = layouts.flatMap((layout) => layoutProbes(layout as Layout<unknown>, () => undefined));
  const numbers = {
    ...Object.fromEntries(Object.entries(exits).map(([name, { reason }]) => [name, reason])),
    ...Object.fromEntries(Object.entries(ioctls).map(([name, { request }]) => [name, request])),
    ...Object.fromEntries(Object.entries(optIn.bits).map(([name, bit]) => [`KVM_X86_APIC_EXIT_${name}`, bit])),
    [optIn.name]: optIn.capability,
  };
  for (const [name, expected] of Object.entries(numbers)) probes.push({ label: name, expression: name, expected });
  const header = uapiOf(fileURLToPath(new URL('../../kernel/fixed', import.meta.url)));
  const directory = mkdtempSync(join(tmpdir(), 'kvm-dsm-uapi-'));
  t.after(() => rmSync(directory, { recursive: true }));
  writeFileSync(join(directory, 'kvm_dsm_fixed.h'), header);
  const answers = ask(['kvm_dsm_fixed.h'], probes, [directory]);
  assert.deepEqual(answers.wrong, []);
  assert.deepEqual(
    [...header.matchAll(/^#define KVM_X86_APIC_EXIT_(\w+)/gm)].map(([, bit]) => bit).sort(),
    Object.keys(optIn.bits).sort(),
  );
  assert.equal(answers.right.length, probes.length);
});
