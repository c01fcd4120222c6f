/** The VFIO tables against this machine's <linux/kvm.h> and <linux/vfio.h>, and this repository's own header. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as vfioModule from '../../lib/abi/vfio.ts';
import { ask, layoutProbes, noCompiler, type Probe, since } from './c.ts';

const include = fileURLToPath(new URL('../../kernel/rfc-v2/include/uapi', import.meta.url));

const { vfioIommus, vfioPciIrqs, kvmArchForwardedIrq } = vfioModule;
const constants = Object.entries<unknown>({ ...vfioModule, ...vfioIommus, ...vfioPciIrqs }).filter(
  (entry): entry is [string, number] => typeof entry[1] === 'number',
);

/** KVM_DEV_VFIO_FILE and its like are enumerators of headers since then; the group has always had this number. */
const young = (name: string): string | undefined => (name.startsWith('KVM_DEV_VFIO_FILE') ? since(6, 6) : undefined);

test('numbers and layout of VFIO are those of the headers', { skip: noCompiler }, () => {
  const probes: Probe[] = constants.map(([name, expected]) => {
    const condition = young(name);
    return { label: name, expression: name, expected, ...(condition && { condition }) };
  });
  probes.push(...layoutProbes(kvmArchForwardedIrq as never, () => undefined));
  const answers = ask(['linux/kvm.h', 'linux/vfio.h', 'linux/kvm_dsm_vfio.h'], probes, [include]);
  assert.deepEqual(answers.wrong, []);
  assert.deepEqual(
    answers.unknown.filter((name) => !young(name)),
    [],
  );
  assert.ok(answers.right.length > 25, `${answers.right.length} compared`);
});
