/** Two vCPUs that write their ICRs at the same time. Needs a kernel with the series. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flat32, type Instruction, machine, out8, spin, write32 } from '../../../lib/index.ts';
import { wait32 } from '../../support/guest.ts';
import { noForwardingKvm } from '../../support/host.ts';

const ICR = 0xfee0_0300;
const ICR2 = 0xfee0_0310;
const DONE = 0x10;
const WRITES = 50;
/** Where each vCPU tells that it has started, and where vCPU 1 tells that it has written all. */
const started = (id: number) => 0x800 + id * 4;
const WRITTEN = 0x808;

/** What a vCPU writes, in turns ICR2 and ICR; no value twice, and none of the other's. */
const writesOf = (id: number): [register: number, value: number][] =>
  Array.from({ length: WRITES }, (_, i) =>
    i % 2 === 0 ? [ICR2, (0x80 + i + id) * 0x100_0000] : [ICR, 0x4000 | (0x20 + 2 * i + id)],
  );

test(`two vCPUs on their threads, ${WRITES} ICR writes each: every one once, in the order of its vCPU`, {
  skip: noForwardingKvm,
  timeout: 120_000,
}, async () => {
  await using m = await machine({ vcpus: 2 });
  const writes = (id: number): Instruction[] => writesOf(id).map(([register, value]) => write32(register, value));
  const start = (id: number): Instruction[] => [write32(started(id), 1), wait32(started(1 - id), 1)];
  m.vcpu(0).program(flat32(...start(0), ...writes(0), wait32(WRITTEN, 1), out8(DONE), spin));
  m.vcpu(1).program(flat32(...start(1), ...writes(1), write32(WRITTEN, 1), spin));
  const trace = await m.run({ until: { port: DONE }, deadline: '60s' });
  const forwarded = trace.named('KVM_EXIT_DSM_SEND_IRQ');
  for (const id of [0, 1])
    assert.deepEqual(
      forwarded.filter(({ vcpu }) => vcpu === id).map(({ exit }) => [exit.id, exit.val + 0xfee0_0000, exit.val2]),
      writesOf(id).map(([register, value]) => [id, register, value]),
      `vCPU ${id}`,
    );
  assert.equal(forwarded.length, 2 * WRITES);
  assert.equal(trace.length, 2 * WRITES + 1, 'and nothing else but the end');
});
