// The kernel's own events, the code of exits and the nodes of a trace file: its schema, its reader, and what is made of it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Ajv } from 'ajv';
import { loadTrace } from '../../../lib/picture/file/load.ts';
import { toPerfetto } from '../../../lib/picture/file/perfetto.ts';
import { readTrace } from '../../../lib/picture/file/read.ts';
import { codeLine, kernelLine, lossLine, type TraceLine } from '../../../lib/picture/file/records.ts';
import { pageData } from '../../../lib/runner/trace-page.ts';
import { describeKernelEvent, describeKernelLoss, type KernelEvent } from '../../../lib/trace/kernel-event.ts';
import type { PageData } from '../../../tools/trace-page/data.ts';
import { root } from '../../support/command.ts';
import { preparedTarget, Scene } from '../../support/pictures.ts';
import { recordedEvents } from '../../support/recorded-ftrace.ts';
import { asText, inPieces, recordsOf, traceLines } from '../../support/trace-lines.ts';

const schema = JSON.parse(readFileSync(join(root, 'docs', 'trace.schema.json'), 'utf8'));
const validate = new Ajv({ allowUnionTypes: true }).compile(schema);

const recorded: KernelEvent[] = recordedEvents().map((event) => {
  const vcpu = event.tid - 85;
  return vcpu <= 1 ? { ...event, machine: 1, vcpu } : event;
});
const evil = { at: 5_000_100n, cpu: 0, tid: 1, event: 'x', fields: { name: '\x1b[31m</script>\u202e' } };
const bytes = Buffer.from('c7051003e0fe00000001c7050003e0fef0400000e710', 'hex');
const code = [
  codeLine(1, { vcpu: 0, mode: 'flat32', from: 0x1000n, bytes: Buffer.alloc(22, 0x90), aligned: true }),
  codeLine(1, { vcpu: 0, mode: 'flat32', from: 0x1000n, bytes, aligned: true }),
];
const scene = new Scene().icr2(0, 1).icr(0, 0x40f0, 1);
const own = traceLines({ events: scene.events, targets: [preparedTarget(0), preparedTarget(1, { 240: 1 })] });
const lines: TraceLine[] = [
  ...own.slice(0, -2),
  ...code,
  ...[...recorded, evil].map(kernelLine),
  lossLine({ at: 6_000_000n, cpu: 1, lost: 12 }),
  ...own.slice(-2),
];
const load = (all: readonly TraceLine[]) => loadTrace(readTrace(inPieces(asText(all))));
const page = async (all: readonly TraceLine[]) => pageData(await load(all)) as PageData;

describe('lines', () => {
  test('are as the schema says, and come back as they were', async () => {
    for (const line of lines)
      assert.ok(validate(JSON.parse(JSON.stringify(line))), JSON.stringify([line, validate.errors]));
    const { kernel, losses } = await load(lines);
    assert.deepEqual(
      kernel,
      [evil, ...recorded].toSorted((a, b) => Number(a.at - b.at)),
    );
    assert.deepEqual(losses, [{ at: 6_000_000n, cpu: 1, lost: 12 }]);
    for (const wrong of [{ cpu: -1 }, { at: 5 }, { fields: { a: [] } }, { extra: 1 }])
      assert.ok(!validate({ ...JSON.parse(JSON.stringify(kernelLine(evil))), ...wrong }), JSON.stringify(wrong));
  });

  test('one that is not as it was written is refused, with its line', async () => {
    const wrong = { type: 'kernel', at: 'soon', cpu: 0, tid: 1, event: 'x', fields: {} };
    await assert.rejects(recordsOf(asText([...own.slice(0, 2), wrong])), /line 3: "kernel" is not as it was written/);
  });

  test('in words, fit for a terminal whatever the kernel has written', () => {
    const words = (name: string) => describeKernelEvent(recorded.find(({ event }) => event === name)!);
    assert.equal(words('kvm_apic'), 'kvm_apic rw=1 reg=ICR2 val=0x1000000');
    assert.equal(words('kvm_apic_accept_irq'), 'kvm_apic_accept_irq apicid=1 dm=0 tm=0 vec=0xf0');
    assert.equal(words('kvm_userspace_exit'), 'kvm_userspace_exit reason=45 errno=0');
    assert.equal(describeKernelEvent(evil), 'x name="\\u001b[31m</script>\\u202e"');
    assert.match(describeKernelLoss({ at: 1n, cpu: 1, lost: 12 }), /^12 events of CPU 1 lost/);
    assert.match(describeKernelLoss({ at: 1n, lost: 1 }), /^1 event before these left out$/);
  });
});

test('for Perfetto: a track below the one of its vCPU, and one for what is in no such thread', async () => {
  const text = Buffer.concat([...toPerfetto(await load(lines))]).toString('latin1');
  const count = (words: string) => text.split(words).length - 1;
  assert.equal(count('kernel, vCPU 0'), 1);
  assert.equal(count('kernel, vCPU 1'), 1);
  assert.equal(count("the kernel, in no vCPU's thread"), 1);
  assert.equal(count('kvm_apic_accept_irq apicid=1'), 1);
  assert.equal(count('LOST: 12 events of CPU 1'), 1);
});

describe('the page', () => {
  test("each of the kernel's events stands in the lane of its vCPU, at its time, as a kind of its own", async () => {
    const { items, kinds, kernel, lanes, words, notes } = await page(lines);
    assert.equal(kinds[kernel], "kernel's own event");
    assert.deepEqual(lanes, ['vCPU 0', 'vCPU 1', 'kernel']);
    const of = items.kind.flatMap((kind, item) => (kind === kernel ? [item] : []));
    assert.equal(of.length, recorded.length + 1);
    const accepted = of.find((item) => words[items.text[item]!]!.startsWith('kvm_apic_accept_irq'))!;
    assert.equal(items.lane[accepted], 0);
    const { at } = recorded.find(({ event }) => event === 'kvm_apic_accept_irq')!;
    assert.equal(items.ns[accepted], Number(at - 5_000_000n));
    assert.ok(notes.includes('The kernel: 12 events of CPU 1 lost: more came at a time than its buffer holds.'));
    assert.equal((await page(own)).kernel, -1);
    assert.deepEqual((await page(own)).lanes, ['vCPU 0', 'vCPU 1']);
  });

  test('an exit has the instruction at its RIP and the one before it, of the last code there', async () => {
    const at = (rip: bigint) => scene.events.map((event) => ({ ...event, rip }));
    const of = async (rip: bigint) => {
      const targets = [preparedTarget(0), preparedTarget(1)];
      const some = traceLines({ events: at(rip), targets });
      const { items, words } = await page([...some.slice(0, -2), ...code, ...some.slice(-2)]);
      return items.code[0]! < 0 ? undefined : words[items.code[0]!];
    };
    assert.equal(await of(0x1014n), '  0x100a  mov dword [0xfee00300], 0x40f0\n> 0x1014  out 0x10, eax');
    assert.equal(await of(0x1000n), '> 0x1000  mov dword [0xfee00310], 0x1000000');
    assert.equal(await of(0x9000n), undefined);
  });

  test('the lanes of a node stand together, below those of the host', async () => {
    const events = [0, 1, 2, 3].flatMap((vcpu) =>
      new Scene().hlt(vcpu).events.map((event) => ({ ...event, seq: vcpu, ns: vcpu, node: vcpu % 2 })),
    );
    const { lanes, groups, items } = await page(
      traceLines({ events, targets: [0, 1, 2, 3].map((id) => preparedTarget(id)) }),
    );
    assert.deepEqual(lanes, ['vCPU 0', 'vCPU 2', 'vCPU 1', 'vCPU 3']);
    assert.deepEqual(groups, [
      { name: 'node 0', first: 0, last: 1 },
      { name: 'node 1', first: 2, last: 3 },
    ]);
    assert.deepEqual(items.lane, [0, 2, 1, 3]);
    assert.deepEqual((await page(own)).groups, []);
  });
});
