// "Sent but not received", as a machine's state tells it: when it is said, and when it is not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeIcr } from '../../../lib/abi/apic/icr.ts';
import { decodeLapic } from '../../../lib/abi/apic/lapic.ts';
import { kvmLapicState } from '../../../lib/abi/kvm/index.ts';
import { apicView } from '../../../lib/apic/destination.ts';
import type { Ipi } from '../../../lib/apic/ipi.ts';
import { notReceived } from '../../../lib/script/failure/causes/not-received.ts';
import type {
  CpuSnapshot,
  LapicSnapshot,
  ProgramSnapshot,
  VcpuSnapshot,
} from '../../../lib/script/failure/snapshot.ts';

const ENABLED = 0xfee0_0800n;
const IDT = 0x2b000n;

interface Changes {
  svr?: number;
  irr?: number[];
  isr?: number[];
  counters?: [number, number][];
  program?: Partial<ProgramSnapshot> | null;
  idtBase?: bigint;
}

/** vCPU 1, whose LAPIC is on, and the causes of the IPIs. */
function causes(ipis: readonly Ipi[], changes: Changes = {}) {
  const { svr = 0x1ff, irr = [], isr = [], counters = [], program = {}, idtBase = IDT } = changes;
  const reset = decodeLapic(new Uint8Array(kvmLapicState.size));
  const registers = { ...reset.registers, ID: 1 << 24, SVR: svr };
  const lapic = { ...reset, registers, irr, isr, view: apicView(1, { registers }, ENABLED) } as LapicSnapshot;
  const loaded = { mode: 'flat32', idt: true, own: new Set(), idtBase: IDT, ...program } as unknown as ProgramSnapshot;
  const cpu = { lapic, sregs: { idt: { base: idtBase } } } as unknown as CpuSnapshot;
  const vcpu = { id: 1, program: program && loaded, cpu, counters: new Map(counters), samples: [] } as VcpuSnapshot;
  return notReceived(vcpu, cpu, lapic, ipis);
}

const ipi = (icr: number, destination = 1, seq: number | null = 4): Ipi => ({
  from: 0,
  command: decodeIcr(icr),
  destination,
  mode: 'xapic',
  seq,
});

test('what neither came nor waits is told with sender, vector and place in the trace', () => {
  const [cause, ...more] = causes([ipi(0x40f0)]);
  assert.deepEqual(more, []);
  assert.equal(
    cause?.text,
    'vCPU 1 has not received what was sent: vCPU 0 sent it vector 0xf0, as #4, which it has neither handled nor in IRR or ISR',
  );
  assert.deepEqual(cause?.lost, { vcpuId: 1, vector: 0xf0 });
  assert.match(causes([ipi(0x40f0, 1, null)])[0]!.text, /sent it vector 0xf0, which/);
});

test('what came, in whatever way, is not lost; nor is what names somebody else', () => {
  assert.deepEqual(causes([ipi(0x40f0)], { irr: [0xf0] }), []);
  assert.deepEqual(causes([ipi(0x40f0)], { isr: [0xf0] }), []);
  assert.deepEqual(causes([ipi(0x40f0)], { counters: [[0xf0, 1]] }), []);
  assert.deepEqual(causes([ipi(0x40f0, 2)]), []);
  assert.deepEqual(causes([]), []);
});

test('what cannot be told is not said', () => {
  assert.deepEqual(causes([ipi(0x40f0)], { svr: 0xff }), [], 'its LAPIC is off: another cause');
  assert.deepEqual(causes([ipi(0x40f0)], { program: { own: new Set([0xf0]) } }), []);
  assert.deepEqual(causes([ipi(0x40f0)], { program: { mode: 'real16' } }), []);
  assert.deepEqual(causes([ipi(0x40f0)], { program: { idt: false } }), []);
  assert.deepEqual(causes([ipi(0x40f0)], { program: null }), []);
  assert.deepEqual(causes([ipi(0x40f0)], { idtBase: 0x5000n }), [], 'the guest has loaded an IDT of its own');
  assert.deepEqual(causes([ipi(0x41f0)]), [], 'of lowest priority another one may have it');
  assert.deepEqual(causes([{ ...ipi(0x40f0), from: 'host' }]), []);
});
