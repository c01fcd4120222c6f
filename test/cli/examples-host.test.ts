import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { forwardsIcrWrites, Kvm, labFunction, reservedExits } from '../../lib/index.ts';
import { jsonLines, kvmDsm, root } from '../support/command.ts';
import { noKvm } from '../support/host.ts';

/** What needs no forwarding: it shows that there is none, or is about something else. */
const stock = ['x2apic-icr.ts', 'vlpi.ts', 'device.ts', 'on-exit.ts', 'every-schedule.ts'];
/** What needs a capability of the kernel, and no forwarding. */
const needs: Record<string, 'KVM_CAP_HYPERV_SYNIC'> = { 'synic.ts': 'KVM_CAP_HYPERV_SYNIC' };

/** What needs the lab kernel's extension. */
const extension = ['replay-x2apic.ts', 'replay-apic-base.ts', 'dapic.ts'];

/** What needs a PCI function that the lab's machines have. */
const adapter = ['forward-irq.ts'];

for (const example of readdirSync(join(root, 'examples')))
  test(`examples/${example} on this host`, { skip: noKvm }, () => {
    const { code, stdout } = kvmDsm(['run', `examples/${example}`, '--on', 'host', '--json']);
    if ((extension.includes(example) && !reservedExits()) || (adapter.includes(example) && !labFunction())) {
      assert.equal(code, 3, stdout);
      assert.equal((jsonLines(stdout).at(-1)!.error as { code: string }).code, 'ERR_UNSUPPORTED');
      return;
    }
    using kvm = Kvm.open();
    const cap = needs[example];
    if (cap && kvm.checkExtension(cap) === 0) {
      assert.equal(code, 3, stdout);
      const { code: error, message } = jsonLines(stdout).at(-1)!.error as { code: string; message: string };
      assert.equal(error, 'ERR_UNSUPPORTED');
      assert.match(message, new RegExp(`${cap}.*CONFIG_KVM_HYPERV`));
      return;
    }
    if (cap || stock.includes(example) || forwardsIcrWrites(kvm)) {
      assert.equal(code, 0, stdout);
      return;
    }
    assert.equal(code, 3, stdout);
    const lines = jsonLines(stdout);
    assert.ok(lines.some(({ type, id }) => type === 'finding' && id === 'not-forwarded'));
    // The guests did their part: it is the kernel that said nothing.
    assert.equal((lines.at(-1)!.error as { code: string }).code, 'ERR_EXPECTATION');
  });
