/** Every constant of the tables against this machine's kernel headers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as lapicModule from '../../lib/abi/apic/lapic.ts';
import * as capabilityModule from '../../lib/abi/kvm/capability.ts';
import * as exitReasonModule from '../../lib/abi/kvm/exit-reason.ts';
import * as x86Module from '../../lib/abi/kvm/index.ts';
import { ioctls } from '../../lib/abi/kvm/ioctl.ts';
import * as kvmRunModule from '../../lib/abi/kvm/kvm-run.ts';
import * as requestNumberModule from '../../lib/abi/kvm/request-number.ts';
import * as vfioModule from '../../lib/abi/vfio.ts';
import { ask, defined, noCompiler, type Probe, versionCode } from './c.ts';

/**
 * The kernel that brought a symbol. One that the headers lack although they are younger is a misspelt name, not an old
 * header; so is one that stands in no line here.
 */
const sinceKernel: [string, string[]][] = [
  ['6.2', ['KVM_CAP_DIRTY_LOG_RING_WITH_BITMAP']],
  ['6.3', ['KVM_CAP_PMU_EVENT_MASKED_EVENTS']],
  ['6.4', ['KVM_CAP_COUNTER_OFFSET']],
  ['6.6', ['KVM_DEV_VFIO_FILE', 'KVM_DEV_VFIO_FILE_ADD', 'KVM_DEV_VFIO_FILE_DEL']],
  ['6.7', ['KVM_EXIT_LOONGARCH_IOCSR']],
  [
    '6.8',
    [
      'KVM_CAP_USER_MEMORY2',
      'KVM_CAP_MEMORY_FAULT_INFO',
      'KVM_CAP_MEMORY_ATTRIBUTES',
      'KVM_CAP_GUEST_MEMFD',
      'KVM_CAP_VM_TYPES',
      'KVM_EXIT_MEMORY_FAULT',
      'KVM_MEMORY_EXIT_FLAG_PRIVATE',
      'KVM_MEM_GUEST_MEMFD',
      'KVM_SET_USER_MEMORY_REGION2',
      'KVM_SET_MEMORY_ATTRIBUTES',
      'KVM_CREATE_GUEST_MEMFD',
    ],
  ],
  [
    '6.11',
    [
      'KVM_CAP_PRE_FAULT_MEMORY',
      'KVM_CAP_X86_APIC_BUS_CYCLES_NS',
      'KVM_PRE_FAULT_MEMORY',
      'KVM_CAP_X86_GUEST_MODE',
      'KVM_RUN_X86_GUEST_MODE',
    ],
  ],
  ['6.12', ['KVM_X86_QUIRK_SLOT_ZAP_ALL']],
  ['6.16', ['KVM_EXIT_TDX', 'KVM_SYSTEM_EVENT_TDX_FATAL']],
  ['6.17', ['KVM_X86_DISABLE_EXITS_APERFMPERF']],
  ['6.18', ['KVM_CAP_GUEST_MEMFD_FLAGS']],
  ['6.19', ['KVM_EXIT_ARM_SEA']],
  ['7.0', ['KVM_EXIT_ARM_LDST64B', 'KVM_EXIT_SNP_REQ_CERTS']],
];

function numbersOf(table: object): [string, number][] {
  return Object.entries(table).filter(
    (entry): entry is [string, number] => /^(KVM|SYNC_REGS)/.test(entry[0]) && typeof entry[1] === 'number',
  );
}

const groups: [string, [string, number][]][] = [
  ['exit reasons', numbersOf(exitReasonModule.exitReasons)],
  ['internal errors', numbersOf(exitReasonModule.internalErrors)],
  ['system events', numbersOf(exitReasonModule.systemEvents)],
  ['numbers inside the exits', numbersOf(exitReasonModule)],
  ['capabilities', numbersOf(capabilityModule.capabilities)],
  ['arguments of capabilities', numbersOf(capabilityModule)],
  ['ioctl requests', numbersOf(ioctls)],
  ['ioctl type', numbersOf(requestNumberModule)],
  ['mp_states', numbersOf(x86Module.mpStates)],
  ['numbers of the structs', numbersOf(x86Module)],
  ['numbers of kvm_run', numbersOf(kvmRunModule)],
  ['numbers of the LAPIC', numbersOf(lapicModule)],
  // Group 2, and what is in it, is in no kernel's headers.
  ['kvm-vfio', numbersOf(vfioModule).filter(([name]) => !name.startsWith('KVM_DEV_VFIO_DEVICE'))],
];

test('constants are those of <linux/kvm.h>', { skip: noCompiler }, async (t) => {
  const probes: Probe[] = groups.flatMap(([, constants]) =>
    constants.map(([name, expected]) => ({ label: name, expression: name, expected, condition: defined(name) })),
  );
  const answers = ask(['linux/kvm.h'], probes);
  const unknown = new Set(answers.unknown);
  for (const [group, constants] of groups) {
    await t.test(group, () => {
      assert.ok(constants.length > 0, 'the module exports its constants');
      const names = new Set(constants.map(([name]) => name));
      assert.deepEqual(
        answers.wrong.filter((line) => names.has(line.slice(0, line.indexOf(':')))),
        [],
      );
    });
    const missing = constants.map(([name]) => name).filter((name) => unknown.has(name));
    if (missing.length > 0) {
      await t.test(`${group}: what these headers lack`, { skip: `not in these headers: ${missing.join(' ')}` });
    }
  }
  await t.test('a symbol that the headers lack is younger than they are', () => {
    const young = sinceKernel.flatMap(([kernel, names]) => {
      const [major = 0, minor = 0] = kernel.split('.').map(Number);
      return versionCode(major, minor) > answers.version ? names : [];
    });
    assert.deepEqual(
      answers.unknown.filter((name) => !young.includes(name)),
      [],
    );
  });
});
