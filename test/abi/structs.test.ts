/** Every layout of the package against the C compiler's offsetof and sizeof, for this machine's kernel headers. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import * as x86Module from '../../lib/abi/kvm/index.ts';
import * as kvmRunModule from '../../lib/abi/kvm/kvm-run.ts';
import { isLayout } from '../../lib/abi/layout.ts';
import { XEN_BODY_OFFSET } from '../../lib/exit/hypercall.ts';
import { HYPERV_BODY_OFFSET } from '../../lib/exit/hyperv.ts';
import { ask, defined, layoutProbes, noCompiler, type Probe, since } from './c.ts';

/** The payloads of kvm_run's union stand with their exits: every file there is asked for its own. */
const exits = new URL('../../lib/exit/', import.meta.url);
const families: Record<string, unknown>[] = await Promise.all(
  readdirSync(exits)
    .filter((file) => file.endsWith('.ts'))
    .map((file) => import(new URL(file, exits).href)),
);
const all = Object.assign({}, x86Module, kvmRunModule, ...families) as Record<string, unknown>;
const layouts = Object.entries(all).filter((entry) => isLayout(entry[1]));

/** Structs and members that are younger than the oldest headers this test shall compile with. */
const conditions: Record<string, string> = {
  'struct kvm_userspace_memory_region2': defined('KVM_SET_USER_MEMORY_REGION2'),
  'struct kvm_run memory_fault': defined('KVM_EXIT_MEMORY_FAULT'),
  'struct kvm_run tdx': defined('KVM_EXIT_TDX'),
  'struct kvm_run snp_req_certs': defined('KVM_EXIT_SNP_REQ_CERTS'),
  'struct kvm_run notify': defined('KVM_EXIT_NOTIFY'),
  'struct kvm_run system_event': since(5, 19),
  'struct kvm_run hypercall.flags': since(6, 4),
  'struct kvm_vcpu_events triple_fault': defined('KVM_VCPUEVENT_VALID_TRIPLE_FAULT'),
  'struct kvm_sync_regs events.triple_fault': defined('KVM_VCPUEVENT_VALID_TRIPLE_FAULT'),
};

function conditionOf(cType: string, member: string): string | undefined {
  for (const [key, condition] of Object.entries(conditions)) {
    const [struct, path = ''] = key.split(/(?<=^struct \w+) /);
    if (struct !== cType) continue;
    if (path === '' || member === path || member.startsWith(`${path}.`)) return condition;
  }
  return undefined;
}

test('struct layouts are those of <linux/kvm.h>', { skip: noCompiler }, async (t) => {
  const groups = layouts.map(([name, layout]) => {
    const cType = (layout as { cType: string | null }).cType;
    assert.ok(cType !== null, `${name} has no C type to compare with`);
    return { name, probes: layoutProbes(layout as never, (member) => conditionOf(cType, member)) };
  });
  const place = (label: string, expression: string, expected: number): Probe => ({ label, expression, expected });
  groups.push({
    name: "kvm_run's parts",
    probes: [
      place('RUN_UNION_OFFSET', 'offsetof(struct kvm_run, hw)', kvmRunModule.RUN_UNION_OFFSET),
      place('RUN_UNION_SIZE', 'sizeof(((struct kvm_run *)0)->padding)', kvmRunModule.RUN_UNION_SIZE),
      place('RUN_SYNC_REGS_OFFSET', 'offsetof(struct kvm_run, s)', kvmRunModule.RUN_SYNC_REGS_OFFSET),
      place(
        'HYPERV_BODY_OFFSET',
        'offsetof(struct kvm_run, hyperv.u) - offsetof(struct kvm_run, hyperv)',
        HYPERV_BODY_OFFSET,
      ),
      place('XEN_BODY_OFFSET', 'offsetof(struct kvm_run, xen.u) - offsetof(struct kvm_run, xen)', XEN_BODY_OFFSET),
    ],
  });
  const answers = ask(
    ['linux/kvm.h'],
    groups.flatMap((group) => group.probes),
  );
  const unknown = new Set(answers.unknown);
  for (const { name, probes } of groups) {
    const labels = new Set(probes.map((probe) => probe.label));
    const known = probes.filter((probe) => !unknown.has(probe.label));
    if (known.length > 0) {
      await t.test(name, () => {
        assert.deepEqual(
          answers.wrong.filter((line) => labels.has(line.slice(0, line.indexOf(':')))),
          [],
        );
        assert.equal(answers.right.filter((label) => labels.has(label)).length, known.length);
      });
    }
    if (known.length < probes.length) {
      const missing = probes.filter((probe) => unknown.has(probe.label));
      const members = new Set(missing.map(({ label }) => label.replace(/^sizeof | (offset|size|element|sign)$/g, '')));
      await t.test(`${name}: what these headers lack`, { skip: `not in these headers: ${[...members].join(', ')}` });
    }
  }
  assert.ok(groups.length >= 78, 'the modules export their layouts');
});
