// Acts of a trace: data first, words and JSON made of them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeEvent } from '../../../lib/index.ts';
import { injection, traceAct } from '../../../lib/trace/act.ts';
import type { Act } from '../../../lib/trace/event.ts';
import { eventToJson } from '../../../lib/trace/json.ts';

const message = { addressLo: 0xfee0_1000, addressHi: 0, data: 0x41 };

/** Each act: what stands after the ioctl's name, and which fields of JSON come in addition. */
const acts: [Act, string, Record<string, unknown>][] = [
  [
    injection({ ioctl: 'KVM_SIGNAL_MSI', message, delivered: true }),
    'address 0xfee01000, data 0x41',
    { message, delivered: true },
  ],
  [
    injection({ ioctl: 'KVM_SIGNAL_MSI', message, delivered: false }),
    'address 0xfee01000, data 0x41, blocked',
    { message, delivered: false },
  ],
  [injection({ ioctl: 'KVM_IRQ_LINE', gsi: 4, level: false }), 'gsi 4 low', { gsi: 4, level: false }],
  [
    injection({ ioctl: 'KVM_IRQ_LINE_STATUS', gsi: 4, level: true, status: { delivered: 2 } }),
    'gsi 4 high, delivered',
    { gsi: 4, level: true, status: { delivered: 2 } },
  ],
  [
    injection({ ioctl: 'KVM_DSM_IPI', write: { vcpuId: 1, val: 0x310, val2: 0x100_0000, destId: 1 } }),
    'ICR2 = 0x1000000',
    { vcpu: 1, write: { vcpuId: 1, val: 0x310, val2: 0x100_0000, destId: 1 } },
  ],
  [
    injection({ ioctl: 'KVM_DSM_X2APIC', write: { vcpuId: 2, data: 0x1_0000_4070n } }),
    'x2APIC ICR = 0x100004070',
    { vcpu: 2, write: { vcpuId: 2, data: '0x100004070' } },
  ],
  [
    injection({ ioctl: 'KVM_DSM_APIC_BASE', write: { vcpuId: 3, host: true, index: 0x1b, data: 0xfee0_0c00n } }),
    'IA32_APIC_BASE = 0xfee00c00 (host)',
    { vcpu: 3, write: { vcpuId: 3, host: true, index: 0x1b, data: '0xfee00c00' } },
  ],
  [{ act: 'injection', ioctl: 'KVM_NMI', vcpu: 1 }, 'NMI', { vcpu: 1 }],
  [{ act: 'injection', ioctl: 'KVM_INTERRUPT', vcpu: 1, vector: 0x30 }, 'vector 0x30', { vcpu: 1, vector: 0x30 }],
  [{ act: 'kick', vcpu: 1 }, 'out of the guest and in again', { vcpu: 1 }],
];

for (const [act, detail, fields] of acts)
  test(`an act as data, in words and in JSON: ${act.ioctl ?? act.act}, ${detail}`, () => {
    const event = traceAct({ seq: 7, ns: 12 }, act);
    assert.equal(event.detail, detail);
    const who = act.vcpu === undefined ? '' : ` vCPU ${act.vcpu}`;
    const ioctl = act.ioctl === undefined ? '' : `${act.ioctl} `;
    assert.equal(describeEvent(event), `#7${who} ${act.act}  ${ioctl}${detail}`);
    const json: unknown = JSON.parse(JSON.stringify(eventToJson(event)));
    const expected = { type: 'act', seq: 7, ns: 12, act: act.act, detail, ...fields };
    assert.deepEqual(json, act.ioctl === undefined ? expected : { ...expected, ioctl: act.ioctl });
  });

test('what a guest writes cannot move a terminal’s cursor', () => {
  const event = {
    seq: 1,
    ns: 0n,
    vcpu: 0,
    rip: 0n,
    exit: { name: 'KVM_EXIT_IO' },
    word: { kind: 'sync', name: 'a\x1b[2J\x9b2J\x7f' },
  };
  const text = describeEvent(event as unknown as Parameters<typeof describeEvent>[0]);
  assert.match(text, /sync "a\\u001b\[2J\\x9b2J\\x7f"$/);
});
