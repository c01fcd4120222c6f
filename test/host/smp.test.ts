import assert from 'node:assert/strict';
import { test } from 'node:test';
import { enterReal16, mpStates, out8, type Vcpu, write32 } from '../../lib/index.ts';
import { scaled } from '../support/counts.ts';
import { countOutTimes, entryOf, makeGuest, sendIpi, wait32 } from '../support/guest.ts';
import { noKvm } from '../support/host.ts';

const DONE = 0x10;
const APS = 8;
/** A page for each thing that the APs use: their descriptor table, counters, code, stacks, handlers. */
const GDT = 0x7000;
const COUNTERS = 0x6000;
const AP_CODE = 0x8000;
const HANDLERS = 0xa000;
const up = (id: number) => COUNTERS + id * 16;
const fixed = (id: number) => up(id) + 4;
const nmi = (id: number) => up(id) + 8;
const broadcast = (id: number) => up(id) + 12;

const FIXED_VECTOR = 0x40;
const BROADCAST_VECTOR = 0x41;

/** What an AP does from SIPI on: 16-bit code that gives DS a limit of 4 GiB, to reach the LAPIC, and waits. */
const apCode = Uint8Array.of(
  ...[0xfa, 0x31, 0xc0, 0x8e, 0xd8], // cli; xor ax, ax; mov ds, ax
  ...[0x66, 0x0f, 0x01, 0x16, 0x00, 0x70], // lgdt [0x7000]
  ...[0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0, 0xeb, 0x00], // CR0.PE = 1
  ...[0xbb, 0x08, 0x00, 0x8e, 0xdb], // mov ds, 8: base 0, limit 4 GiB
  ...[0x24, 0xfe, 0x0f, 0x22, 0xc0], // CR0.PE = 0; DS keeps its limit
  ...[0x66, 0x67, 0xc7, 0x05, 0xf0, 0x00, 0xe0, 0xfe, 0xff, 0x01, 0x00, 0x00], // SVR = 0x1ff
  ...[0x66, 0x67, 0xa1, 0x20, 0x00, 0xe0, 0xfe, 0x66, 0xc1, 0xe8, 0x14], // eax = APIC id * 16
  ...[0x89, 0xc3, 0x81, 0xc3, 0x00, 0x60], // bx = its counters
  ...[0xb8, 0x00, 0x09, 0x8e, 0xd0, 0x89, 0xdc, 0xc1, 0xe4, 0x04], // ss:sp = 0x9000 + id * 256
  ...[0x66, 0xff, 0x07, 0xfb], // inc dword [bx]; sti
  ...[0xf4, 0xeb, 0xfd], // hlt, for ever
);

/** `inc dword [bx + at]`, end of interrupt, `iret`. An NMI has no end of interrupt. */
const handler = (at: number, eoi: boolean) => [
  ...[0x66, 0xff, 0x47, at],
  ...(eoi ? [0x66, 0x67, 0xc7, 0x05, 0xb0, 0x00, 0xe0, 0xfe, 0, 0, 0, 0] : []),
  0xcf,
];

test(`INIT-SIPI-SIPI brings up ${APS} vCPUs; each gets a fixed IPI, an NMI and a broadcast, once`, {
  skip: noKvm,
  timeout: 60_000,
}, async () => {
  using guest = makeGuest(1 + APS);
  const { memory, vcpus } = guest;
  memory.write(GDT, Uint8Array.of(23, 0, 0x08, 0x70, 0, 0));
  memory.write(GDT + 0x10, Uint8Array.of(0xff, 0xff, 0, 0, 0, 0x93, 0xcf, 0));
  memory.write(AP_CODE, apCode);
  const handlers: [vector: number, at: number, code: number[]][] = [
    [2, 0, handler(8, false)],
    [FIXED_VECTOR, 0x40, handler(4, true)],
    [BROADCAST_VECTOR, 0x80, handler(12, true)],
  ];
  for (const [vector, at, code] of handlers) {
    memory.view.setUint32(vector * 4, ((HANDLERS >> 4) << 16) | at, true);
    memory.write(HANDLERS + at, Uint8Array.from(code));
  }

  const aps = Array.from({ length: APS }, (_, i) => i + 1);
  const sipi = 0x4600 | (AP_CODE >> 12);
  guest.program(
    0,
    write32(0xfee0_00f0, 0x1ff),
    ...aps.flatMap((id) => [sendIpi(id, 0x4500), sendIpi(id, sipi), sendIpi(id, sipi)]),
    ...aps.map((id) => wait32(up(id), 1)),
    ...aps.map((id) => sendIpi(id, 0x4000 | FIXED_VECTOR)),
    ...aps.map((id) => wait32(fixed(id), 1)),
    ...aps.map((id) => sendIpi(id, 0x4400)),
    ...aps.map((id) => wait32(nmi(id), 1)),
    sendIpi(0, 0xc_4000 | BROADCAST_VECTOR),
    ...aps.map((id) => wait32(broadcast(id), 1)),
    out8(DONE),
  );

  const counters = () =>
    aps.map((id) => [up(id), fixed(id), nmi(id), broadcast(id)].map((at) => memory.view.getUint32(at, true)));
  const unexpected: string[] = [];
  const runs = aps.map((id) =>
    vcpus[id]!.start({ onExit: (exit) => void unexpected.push(`vCPU ${id}: ${exit.name}`) }),
  );
  try {
    for await (const exit of vcpus[0]!.start({ deadline: '20s' })) {
      // A kernel that forwards tells of each ICR write, and delivers the interrupt as ever.
      if (exit.name === 'KVM_EXIT_DSM_SEND_IRQ') continue;
      assert.equal(exit.name, 'KVM_EXIT_IO');
      break;
    }
  } catch (error) {
    throw new Error(`${error}; counters ${JSON.stringify(counters())}; ${unexpected}`);
  }
  // An interrupt that came twice would still be on its way: every vCPU handles what it has before it is idle again.
  for (const run of runs) {
    await run.pause();
    assert.equal(run.vcpu.getMpState(), mpStates.KVM_MP_STATE_HALTED);
  }
  assert.deepEqual(
    counters(),
    aps.map(() => [1, 1, 1, 1]),
  );
  assert.deepEqual(unexpected, []);
  await Promise.all(runs.map((run) => run.stop()));
  assert.ok(runs.every(({ state }) => state === 'stopped'));
});

const MANY = scaled(64, 16);

test(`${MANY} vCPUs, each on its thread: every exit comes, in order per vCPU`, {
  skip: noKvm,
  timeout: 120_000,
}, async () => {
  const COUNT = 50;
  using guest = makeGuest(MANY);
  const seen = new Map<number, number[]>();
  const runs = guest.vcpus.map((vcpu) => {
    guest.program(vcpu.vcpuId, countOutTimes(0x40, COUNT), out8(DONE));
    const values: number[] = [];
    seen.set(vcpu.vcpuId, values);
    return vcpu.start({
      onExit(exit, run) {
        assert.equal(exit.name, 'KVM_EXIT_IO');
        if (exit.port === DONE) run.askToStop();
        else values.push(new DataView(exit.data.buffer).getUint32(0, true));
      },
    });
  });
  await Promise.all(runs.map((run) => run.ended({ deadline: '60s' })));
  const expected = Array.from({ length: COUNT }, (_, i) => i + 1);
  for (const [id, values] of seen) assert.deepEqual(values, expected, `vCPU ${id}`);
});

test(`${MANY} vCPUs that spin are all stopped by closing their VM`, { skip: noKvm, timeout: 60_000 }, async () => {
  using guest = makeGuest(MANY);
  for (const { vcpuId } of guest.vcpus) guest.program(vcpuId, Uint8Array.of(0xeb, 0xfe));
  const runs = guest.vcpus.map((vcpu) => vcpu.start());
  await Promise.all(runs.map((run) => run.kick({ deadline: '30s' })));
  guest.vm.close();
  assert.ok(runs.every(({ state }) => state === 'stopped'));
});

test('a real16 guest starts where it is told, in real mode', { skip: noKvm }, () => {
  using guest = makeGuest(1);
  const vcpu = guest.vcpus[0] as Vcpu;
  // mov ax, cs; out 0x42, ax
  guest.memory.write(0x8123, Uint8Array.of(0x8c, 0xc8, 0xe7, 0x42));
  enterReal16(vcpu, { rip: 0x8123, rsp: entryOf(0) & 0xfff0 });
  const exit = vcpu.run();
  assert.equal(exit.name, 'KVM_EXIT_IO');
  assert.deepEqual([exit.size, ...exit.data], [2, 0x00, 0x08]);
});
