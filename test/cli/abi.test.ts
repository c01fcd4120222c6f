/** `kvm-dsm abi` on this host: every number and layout, and what this kernel answers. */
import assert from 'node:assert/strict';
import { release } from 'node:os';
import { test } from 'node:test';
import { type capabilities, forwardsIcrWrites, Kvm, knowsInjection, reservedExits } from '../../lib/index.ts';
import { type AbiDocument, abiDocument, answersOf, entriesOf } from '../support/abi.ts';
import { kvmDsm } from '../support/command.ts';
import { noKvm } from '../support/host.ts';
import { asNobody, cannotBeNobody } from '../support/nobody.ts';

const document = abiDocument();
const entries = entriesOf(document);
const nowhere = '/nonexistent/kvm';

const namesAndOffsets = (fields: readonly { name: string; offset: number }[]) =>
  fields.map(({ name, offset }) => [name, offset]);

test("the profile's exits and ioctls are where they always were", () => {
  assert.deepEqual([document.version, document.profile], [1, 'rfc-v2']);
  assert.deepEqual([document.on, document.kernel], [process.env.KVM_DSM_LANE ?? 'host', release()]);
  assert.deepEqual(
    document.exits.map(({ name, reason, emitted, extension }) => [name, reason, emitted, extension]),
    [
      ['KVM_EXIT_DAPIC', 44, false, 'kvm.dsm_exit_dapic'],
      ['KVM_EXIT_DSM_SEND_IRQ', 45, true, null],
      ['KVM_EXIT_DSM_X2_ICR', 46, false, 'kvm.dsm_exit_x2_icr'],
      ['KVM_EXIT_DSM_APIC_BASE', 47, false, 'kvm.dsm_exit_apic_base'],
    ],
  );
  assert.deepEqual(namesAndOffsets(document.exits[1]!.fields), [
    ['id', 32],
    ['val', 36],
    ['val2', 40],
    ['dest_id', 44],
  ]);
  assert.deepEqual(
    document.ioctls.map(({ name, request, size }) => [name, request, size]),
    [
      ['KVM_DSM_IPI', '0x4010aef3', 16],
      ['KVM_DSM_X2APIC', '0x4010aef4', 16],
      ['KVM_DSM_APIC_BASE', '0x4018aef5', 24],
    ],
  );
  for (const { source } of [...document.exits, ...document.ioctls]) assert.match(source, /PATCH v2/);
});

test('a profile with an opt-in has its capability, and exits of its own; none of them is an extension', () => {
  const { stdout } = kvmDsm(['abi', '--json', '--profile', 'fixed-v1']);
  const { profile, exits, sections } = JSON.parse(stdout) as AbiDocument;
  assert.equal(profile, 'fixed-v1');
  assert.deepEqual(
    exits.map(({ name, reason, emitted, extension }) => [name, reason, emitted, extension]),
    [
      ['KVM_EXIT_DSM_SEND_IRQ', 45, true, null],
      ['KVM_EXIT_DSM_X2_ICR', 46, true, null],
      ['KVM_EXIT_DSM_APIC_BASE', 47, true, null],
      ['KVM_EXIT_DSM_PV_IPI', 48, true, null],
    ],
  );
  assert.deepEqual(namesAndOffsets(exits[3]!.fields), [
    ['id', 32],
    ['icr', 36],
    ['type', 40],
    ['base', 44],
    ['mask', 48],
  ]);
  const [optIn] = sections[0]!.entries;
  assert.deepEqual([optIn!.kind, optIn!.name, optIn!.number], ['capability', 'KVM_CAP_X86_APIC_EXIT', 0x4453]);
});

test('every system has its section, with its numbers', () => {
  assert.deepEqual(
    document.sections.map(({ name, architecture }) => [name, architecture]),
    [
      ['dsm', 'x64'],
      ['dsm-exits', 'x64'],
      ['synic', 'x64'],
      ['vfio', 'x64'],
      ['vlpi', 'arm64'],
    ],
  );
  const numbers = new Map(entries.map(({ name, number }) => [name, number]));
  for (const [name, number] of [
    ['KVM_EXIT_DSM_SEND_IRQ', 45],
    ['KVM_DSM_APIC_BASE', '0x4018aef5'],
    ['kvm.dsm_exit_x2_icr', null],
    ['KVM_CAP_HYPERV_SYNIC', 123],
    ['KVM_CAP_HYPERV_SYNIC2', 148],
    ['KVM_CAP_HYPERV_ENFORCE_CPUID', 199],
    ['KVM_HYPERV_EVENTFD', '0x4018aebd'],
    ['KVM_IRQ_ROUTING_HV_SINT', 4],
    ['KVM_EXIT_HYPERV_SYNIC', 27],
    ['KVM_EXIT_HYPERV_SYNDBG', 27],
    ['HV_X64_MSR_SCONTROL', '0x40000080'],
    ['HV_X64_MSR_SINT0', '0x40000090'],
    ['KVM_DEV_TYPE_VFIO', 4],
    ['KVM_SET_DEVICE_ATTR', '0x4018aee1'],
    ['KVM_DEV_VFIO_FILE', 1],
    ['KVM_DEV_VFIO_FILE_ADD', 1],
    ['KVM_DEV_VFIO_FILE_DEL', 2],
    ['KVM_DEV_VFIO_DEVICE', 2],
    ['KVM_DEV_VFIO_DEVICE_FORWARD_IRQ', 1],
    ['KVM_DEV_VFIO_DEVICE_UNFORWARD_IRQ', 2],
    ['KVM_CAP_ARM_PER_VCPU_VLPI', 246],
    ['KVM_CAP_ARM_MAX_VPEID', 247],
    ['KVM_ENABLE_VCPU_VLPI', '0x4004aef0'],
    ['KVM_DISABLE_VCPU_VLPI', '0x4004aef1'],
    ['KVM_QUERY_VCPU_VLPI', '0x8004aef2'],
    ['KVM_DEBUG_GIC_MSI_SETUP', '0x4020aef3'],
  ] as const)
    assert.equal(numbers.get(name), number, name);
});

test('layouts stand at the bytes that the kernel has them at', () => {
  const layouts = new Map(entries.map(({ name, size, fields }) => [name, [size, ...namesAndOffsets(fields)]]));
  for (const [name, ...layout] of [
    ['KVM_DSM_X2APIC', 16, ['vcpu_id', 0], ['data', 8]],
    ['KVM_IRQ_ROUTING_HV_SINT', 8, ['vcpu', 16], ['sint', 20]],
    ['KVM_EXIT_HYPERV_SYNIC', 32, ['msr', 40], ['control', 48], ['evt_page', 56], ['msg_page', 64]],
    ['KVM_EXIT_HYPERV_HCALL', 32, ['input', 40], ['result', 48], ['params', 56]],
    [
      'struct hv_message',
      256,
      ['message_type', 0],
      ['payload_size', 4],
      ['message_flags', 5],
      ['sender', 8],
      ['payload', 16],
    ],
    ['union hv_synic_event_flags', 256],
    ['struct kvm_arch_forwarded_irq', 16, ['fd', 0], ['index', 4], ['subindex', 8], ['gsi', 12]],
    ['KVM_DISABLE_VCPU_VLPI', 4, ['vcpu_id', 0]],
    [
      'KVM_DEBUG_GIC_MSI_SETUP',
      32,
      ['device_id', 0],
      ['event_id', 4],
      ['vcpu_id', 8],
      ['vintid', 12],
      ['host_irq', 16],
      ['itt_addr', 24],
    ],
  ] as const)
    assert.deepEqual(layouts.get(name), layout, name);
});

test('each entry has a source, and an answer or the reason why there is none', () => {
  assert.ok(entries.length > 50, `${entries.length} entries`);
  for (const { name, source, answer } of entries) {
    assert.ok(source.length > 0, name);
    assert.match(answer.asked ? answer.answer : answer.why, /^\S.*\S$|^\S$/, name);
  }
  const names = entries.map(({ name }) => name);
  assert.deepEqual(names, [...new Set(names)], 'each once');
});

test('this kernel is asked, and its answers are its own', { skip: noKvm }, () => {
  using kvm = Kvm.open();
  const answers = answersOf(document);
  for (const { kind, name, answer } of entries)
    if (kind === 'capability' && answer.asked) {
      const value = kvm.checkExtension(name as keyof typeof capabilities);
      assert.equal(answer.answer, value > 0 ? `${value}: offered` : '0: not offered', name);
    }
  assert.match(answers.KVM_EXIT_DSM_SEND_IRQ!, forwardsIcrWrites(kvm) ? /^made: / : /^not made: .*wrote ICR2/);
  for (const name of ['KVM_DSM_IPI', 'KVM_DSM_X2APIC', 'KVM_DSM_APIC_BASE'])
    assert.match(answers[name]!, knowsInjection(kvm) ? /^known: it answers 0$/ : /^ENOTTY: /, name);
  const extension = reservedExits();
  if (extension === null) {
    assert.equal(answers['kvm.dsm_exit_x2_icr'], 'it has no such parameter');
    assert.equal(answers.KVM_EXIT_DSM_X2_ICR, 'not looked for: it has no kvm.dsm_exit_x2_icr');
  } else assert.equal(answers['kvm.dsm_exit_x2_icr'], extension.KVM_EXIT_DSM_X2_ICR ? 'Y' : 'N');
  const synic = kvm.checkExtension('KVM_CAP_HYPERV_SYNIC2') > 0;
  assert.match(answers.KVM_IRQ_ROUTING_HV_SINT!, synic ? /^taken: / : /^refused: .* EINVAL$/);
  assert.match(answers.KVM_EXIT_HYPERV_SYNIC!, synic ? /^made: / : /^not made: it has no KVM_CAP_HYPERV_SYNIC2$/);
  assert.match(answers.HV_X64_MSR_SVERSION!, synic ? /reads 0x1$/ : /does not read it$/);
  using vm = kvm.createVm();
  const vfio = vm.hasDeviceType(4);
  assert.match(answers.KVM_DEV_TYPE_VFIO!, vfio ? /^known: / : /refuses it$/);
  assert.match(answers.KVM_DEV_VFIO_DEVICE_FORWARD_IRQ!, /^ENXIO$/);
});

test('what is of arm64 is not asked on x86, whatever the kernel', () => {
  const { entries: vlpi } = document.sections.find(({ name }) => name === 'vlpi')!;
  assert.equal(vlpi.length, 6);
  for (const { name, answer } of vlpi) assert.match(answer.asked ? '' : answer.why, /arm64/, name);
});

/** The document without what depends on the kernel. */
function numbersAlone({ exits, ioctls, sections, ...rest }: AbiDocument): unknown {
  const without = (rows: readonly { answer: unknown }[]) => rows.map(({ answer: _, ...row }) => row);
  const bare = sections.map(({ entries: rows, ...section }) => ({ ...section, entries: without(rows) }));
  return { ...rest, exits: without(exits), ioctls: without(ioctls), sections: bare };
}

const unusable: [what: string, args: string[], why: RegExp, wrapper: string[], skip: string | false][] = [
  ['no device', ['--device', nowhere], /There is no KVM device at \/nonexistent\/kvm/, [], false],
  ['a file that is not KVM', ['--device', '/dev/null'], /is not a KVM device/, [], false],
  ['a device that may not be opened', [], /may not be opened|permission/i, asNobody, cannotBeNobody || noKvm],
];

for (const [what, args, why, wrapper, skip] of unusable)
  test(`${what}: nothing is asked, and the numbers are there`, { skip }, () => {
    const without = abiDocument(args, wrapper);
    for (const { name, answer } of entriesOf(without)) assert.equal(answer.asked, false, name);
    for (const name of ['KVM_EXIT_DSM_SEND_IRQ', 'kvm.dsm_exit_dapic', 'KVM_CAP_HYPERV', 'KVM_DEV_TYPE_VFIO']) {
      const { answer } = entriesOf(without).find((entry) => entry.name === name)!;
      assert.match(answer.asked ? '' : answer.why, why, name);
    }
    assert.deepEqual(numbersAlone(without), numbersAlone(document));
  });

test('the text has every entry and every answer in its column', () => {
  const { code, stdout } = kvmDsm(['abi']);
  assert.equal(code, 0);
  assert.match(stdout, /45 {2}KVM_EXIT_DSM_SEND_IRQ/);
  const lines = stdout.split('\n');
  const column = lines.find((line) => line.startsWith('dsm: '))!.indexOf('this kernel answers');
  for (const { name, number, source, answer } of entries) {
    const line = lines.find((one) => one.slice(0, column).trim() === [number ?? '', name].join('  ').trim());
    assert.ok(line, name);
    assert.equal(line.slice(column), answer.asked ? answer.answer : `not asked: ${answer.why}`);
    assert.ok(stdout.includes(`from ${source}\n`), source);
  }
  assert.equal(lines.filter((line) => /^ +@\d+ /.test(line)).length, entries.flatMap(({ fields }) => fields).length);
  assert.match(kvmDsm(['abi', '--device', nowhere]).stdout, /KVM_CAP_HYPERV_SYNIC +not asked: There is no KVM device/);
});

test('auto is this host, and what is for the lab needs a lane', () => {
  assert.deepEqual(abiDocument(['--on', 'host']), document);
  for (const [option, on] of [
    ['--kernel', 'auto'],
    ['--cmdline', 'host'],
    ['--emulator', 'auto'],
  ] as const) {
    const { code, stderr } = kvmDsm(['abi', option, 'x', '--on', on]);
    assert.equal(code, 2, stderr);
    assert.match(stderr, new RegExp(`${option} is for the lab.*\n.*--on vmx or --on svm`));
  }
});
