/** The rfc-v2 profile against the user space header of this repository's kernel part. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as rfcV2Module from '../../lib/abi/dsm/rfc-v2.ts';
import { isLayout } from '../../lib/abi/layout.ts';
import { ask, layoutProbes, noCompiler, type Probe } from './c.ts';

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
