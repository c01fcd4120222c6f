/** Exits as sentences and as JSON. The JSON's shape is a contract: other programs read it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixedV1, pvIpi } from '../../../lib/abi/dsm/fixed-v1.ts';
import { rfcV2 } from '../../../lib/abi/dsm/rfc-v2.ts';
import { decodeExit } from '../../../lib/exit/decode.ts';
import { exitToJson } from '../../../lib/exit/json.ts';
import { describeExit } from '../../../lib/exit/text.ts';
import { page, pageWith } from './exit-page.ts';
import * as run from './layouts.ts';

const { KVM_EXIT_DAPIC, KVM_EXIT_DSM_SEND_IRQ, KVM_EXIT_DSM_X2_ICR, KVM_EXIT_DSM_APIC_BASE } = rfcV2.exits;

function sendIrq(val: number, val2: number, destId: number): DataView {
  return pageWith(45, KVM_EXIT_DSM_SEND_IRQ.payload, { id: 0, val, val2, destId });
}

test('JSON of a write of ICR2', () => {
  assert.equal(
    JSON.stringify(exitToJson(decodeExit(sendIrq(0x310, 0x0100_0000, 1)))),
    '{"reason":45,"name":"KVM_EXIT_DSM_SEND_IRQ","id":0,"val":784,"val2":16777216,"destId":1,"register":"ICR2"}',
  );
});

test('JSON of a write of ICR', () => {
  assert.equal(
    JSON.stringify(exitToJson(decodeExit(sendIrq(0x300, 0x40f0, 1)))),
    '{"reason":45,"name":"KVM_EXIT_DSM_SEND_IRQ","id":0,"val":768,"val2":16624,"destId":1,"register":"ICR",' +
      '"icr":{"vector":240,"deliveryMode":"fixed","destinationMode":"physical","level":"assert","trigger":"edge",' +
      '"shorthand":"none"}}',
  );
});

test('a paravirtual IPI, and a write of SELF IPI, in words and as JSON', () => {
  const pv = (type: number, base: number, mask: bigint[], icr = 0x4045) =>
    decodeExit(pageWith(48, pvIpi, { id: 1, icr, type, base, mask }), fixedV1);
  const words = (type: number, base: number, mask: bigint[] = [0n, 0n]) => describeExit(pv(type, base, mask));
  const sent = 'KVM_EXIT_DSM_PV_IPI: vCPU 1 sent fixed vector 0x45, physical, assert, edge';
  assert.equal(words(0, 1, [5n, 1n]), `${sent} to APIC ids 1, 3, 65`);
  assert.equal(words(1, 64, [1n, 0n]), `${sent} to VP indices 64`);
  assert.equal(words(0, 0), `${sent} to APIC ids none`);
  assert.equal(words(2, 0), `${sent} to every vCPU`);
  assert.equal(words(3, 2), 'KVM_EXIT_DSM_PV_IPI: vCPU 1 woke the vCPU with APIC id 2');
  assert.equal(words(4, 2), `${sent} for APIC id 2`);
  assert.equal(words(9, 2, [1n, 2n]), `${sent}: type 9, base 0x2, mask 0x1 0x2`);
  assert.equal(
    JSON.stringify(exitToJson(pv(0, 1, [5n, 0n]))),
    '{"reason":48,"name":"KVM_EXIT_DSM_PV_IPI","id":1,"data":16453,"type":0,"target":"apicIds","base":1,' +
      '"mask":["0x5","0x0"],"icr":{"vector":69,"deliveryMode":"fixed","destinationMode":"physical","level":"assert",' +
      '"trigger":"edge","shorthand":"none"}}',
  );
  assert.equal(
    describeExit(decodeExit(sendIrq(0x3f0, 0x45, 0))),
    'KVM_EXIT_DSM_SEND_IRQ: vCPU 0 wrote SELF_IPI = 0x00000045',
  );
});

test('JSON: u64 values are hex strings, bytes are hex, a null stays', () => {
  const view = pageWith(2, run.runIo, { direction: 1, size: 2, port: 0x10, count: 1, dataOffset: 4096n });
  view.setUint16(4096, 0x0aff, true);
  assert.deepEqual(exitToJson(decodeExit(view)), {
    reason: 2,
    name: 'KVM_EXIT_IO',
    direction: 'out',
    size: 2,
    port: 16,
    count: 1,
    dataOffset: '0x1000',
    data: 'ff0a',
  });
  assert.deepEqual(exitToJson(decodeExit(page(99, Uint8Array.of(1)))), {
    reason: 99,
    name: 'unrecognized',
    raw: `01${'00'.repeat(255)}`,
  });
  const hyperv = exitToJson(decodeExit(page(27)));
  assert.equal(hyperv.synic, null);
  const xen = pageWith(34, run.runXenHcall, { input: 3n }, run.XEN_BODY_OFFSET);
  xen.setUint32(run.RUN_UNION_OFFSET, 1, true);
  assert.deepEqual(exitToJson(decodeExit(xen)).hcall, {
    longmode: 0,
    cpl: 0,
    input: '0x3',
    result: '0x0',
    params: ['0x0', '0x0', '0x0', '0x0', '0x0', '0x0'],
  });
});

test('JSON of KVM_EXIT_DSM_X2_ICR has the same six ICR fields', () => {
  const view = pageWith(46, KVM_EXIT_DSM_X2_ICR.payload, { id: 1, data: 0x2_0000_4041n });
  const { icr, data } = exitToJson(decodeExit(view));
  assert.equal(data, '0x200004041');
  assert.deepEqual(Object.keys(icr as object), [
    'vector',
    'deliveryMode',
    'destinationMode',
    'level',
    'trigger',
    'shorthand',
  ]);
});

test('one sentence per exit', () => {
  const out = pageWith(2, run.runIo, { direction: 1, size: 1, port: 0x10, count: 2, dataOffset: 4096n });
  out.setUint16(4096, 0x2b2a, true);
  const hyperv = (type: number) => {
    const view = pageWith(27, run.runHyperv, { type });
    view.setUint32(run.RUN_UNION_OFFSET + run.HYPERV_BODY_OFFSET, 0x4000_0080, true);
    return view;
  };
  const zeros = (count: number) => Array(count).fill('00').join(' ');
  const cases: [DataView, string][] = [
    [
      sendIrq(0x300, 0x40f0, 1),
      'KVM_EXIT_DSM_SEND_IRQ: vCPU 0 wrote ICR = 0x000040f0 (fixed vector 0xf0, physical, assert, edge) for APIC id 1',
    ],
    [
      sendIrq(0x300, 0x48f0, 3),
      'KVM_EXIT_DSM_SEND_IRQ: vCPU 0 wrote ICR = 0x000048f0 (fixed vector 0xf0, logical, assert, edge) for logical id 0x3',
    ],
    [
      sendIrq(0x300, 0xc_4500, 9),
      'KVM_EXIT_DSM_SEND_IRQ: vCPU 0 wrote ICR = 0x000c4500 (init vector 0x00, physical, assert, edge, to all excluding self)',
    ],
    [sendIrq(0x310, 0x0100_0000, 1), 'KVM_EXIT_DSM_SEND_IRQ: vCPU 0 wrote ICR2 = 0x01000000 (destination 0x01)'],
    [sendIrq(0x80, 0x20, 0), 'KVM_EXIT_DSM_SEND_IRQ: vCPU 0 wrote TPR = 0x00000020'],
    [sendIrq(0x84, 0x20, 0), 'KVM_EXIT_DSM_SEND_IRQ: vCPU 0 wrote register 0x84 = 0x00000020'],
    [
      pageWith(46, KVM_EXIT_DSM_X2_ICR.payload, { id: 1, data: 0x2_0000_4041n }),
      'KVM_EXIT_DSM_X2_ICR: vCPU 1 wrote x2APIC ICR = 0x0000000200004041 (fixed vector 0x41, physical, assert, edge) for APIC id 2',
    ],
    [
      pageWith(47, KVM_EXIT_DSM_APIC_BASE.payload, { id: 1, host: false, index: 0x1b, data: 0xfee0_0d00n }),
      'KVM_EXIT_DSM_APIC_BASE: the guest wrote MSR 0x1b of vCPU 1 = 0xfee00d00',
    ],
    [
      pageWith(44, KVM_EXIT_DAPIC.payload, { localCpuid: 3, offset: 0xb0 }),
      'KVM_EXIT_DAPIC: vCPU 3 accessed its APIC page at 0x0b0 (EOI)',
    ],
    [
      pageWith(44, KVM_EXIT_DAPIC.payload, { localCpuid: 0, offset: 0x84 }),
      'KVM_EXIT_DAPIC: vCPU 0 accessed its APIC page at 0x084',
    ],
    [out, 'KVM_EXIT_IO: out 1 byte to port 0x10, 2 times: 2a 2b'],
    [
      pageWith(2, run.runIo, { direction: 0, size: 4, port: 0xcfc, count: 1, dataOffset: 4096n }),
      'KVM_EXIT_IO: in 4 bytes from port 0xcfc',
    ],
    [
      pageWith(6, run.runMmio, { physAddr: 0xfee0_0300n, len: 2, isWrite: 1, data: Uint8Array.of(0xf0, 0x40) }),
      'KVM_EXIT_MMIO: wrote 2 bytes to 0xfee00300: f0 40',
    ],
    [pageWith(6, run.runMmio, { physAddr: 0x1000n, len: 8 }), 'KVM_EXIT_MMIO: read 8 bytes from 0x1000'],
    [page(5), 'KVM_EXIT_HLT'],
    [
      pageWith(0, run.runHw, { hardwareExitReason: 3n }),
      'KVM_EXIT_UNKNOWN: the hardware left the guest with reason 0x3, which KVM does not handle',
    ],
    [pageWith(1, run.runEx, { exception: 14, errorCode: 2 }), 'KVM_EXIT_EXCEPTION: exception 14, error code 0x2'],
    [
      pageWith(3, run.runHypercall, { nr: 12n, args: [1n] }),
      'KVM_EXIT_HYPERCALL: hypercall 12 (0x1, 0x0, 0x0, 0x0, 0x0, 0x0)',
    ],
    [
      pageWith(4, run.runDebug, { exception: 1, pc: 0x1000n, dr6: 0x4000n }),
      'KVM_EXIT_DEBUG: exception 1 at 0x1000, DR6 0x4000, DR7 0x0',
    ],
    [
      pageWith(9, run.runFailEntry, { hardwareEntryFailureReason: 0x21n, cpu: 1 }),
      'KVM_EXIT_FAIL_ENTRY: CPU 1 refused to enter the guest, hardware reason 0x21',
    ],
    [page(11), 'KVM_EXIT_SET_TPR: the guest set CR8 to 0x0'],
    [pageWith(12, run.runTprAccess, { rip: 1n, isWrite: 1 }), 'KVM_EXIT_TPR_ACCESS: the guest wrote the TPR at 0x1'],
    [pageWith(12, run.runTprAccess, { rip: 1n }), 'KVM_EXIT_TPR_ACCESS: the guest read the TPR at 0x1'],
    [
      pageWith(17, run.runEmulationFailure, {
        suberror: 1,
        ndata: 3,
        flags: 1n,
        insnSize: 2,
        insnBytes: Uint8Array.of(0x0f, 0x0b),
      }),
      'KVM_EXIT_INTERNAL_ERROR: KVM_INTERNAL_ERROR_EMULATION, instruction 0f 0b, data 0x1 0xb0f02 0x0',
    ],
    [pageWith(17, run.runInternal, { suberror: 9 }), 'KVM_EXIT_INTERNAL_ERROR: suberror 9'],
    [
      pageWith(24, run.runSystemEvent, { type: 1, ndata: 1, data: [7n] }),
      'KVM_EXIT_SYSTEM_EVENT: KVM_SYSTEM_EVENT_SHUTDOWN, data 0x7',
    ],
    [pageWith(24, run.runSystemEvent, { type: 77 }), 'KVM_EXIT_SYSTEM_EVENT: type 77'],
    [pageWith(26, run.runEoi, { vector: 0x31 }), 'KVM_EXIT_IOAPIC_EOI: EOI of vector 0x31'],
    [hyperv(1), 'KVM_EXIT_HYPERV: SynIC MSR 0x40000080, SCONTROL 0x0'],
    [hyperv(2), 'KVM_EXIT_HYPERV: hypercall 0x40000080, data 0x0 0x0'],
    [hyperv(3), 'KVM_EXIT_HYPERV: synthetic debugger MSR 0x40000080'],
    [hyperv(4), 'KVM_EXIT_HYPERV: type 4'],
    [
      pageWith(29, run.runMsr, { reason: 4, index: 0x1b }),
      'KVM_EXIT_X86_RDMSR: the guest read MSR 0x1b (reason bits 0x4)',
    ],
    [
      pageWith(30, run.runMsr, { reason: 2, index: 0x1b, data: 0x900n }),
      'KVM_EXIT_X86_WRMSR: the guest wrote MSR 0x1b = 0x900 (reason bits 0x2)',
    ],
    [pageWith(34, run.runXen, { type: 2 }), 'KVM_EXIT_XEN: type 2'],
    [pageWith(34, run.runXen, { type: 1 }), 'KVM_EXIT_XEN: hypercall 0x0 from CPL 0, data 0x0 0x0 0x0 0x0 0x0 0x0'],
    [page(37), 'KVM_EXIT_NOTIFY: no event window'],
    [pageWith(37, run.runNotify, { flags: 1 }), 'KVM_EXIT_NOTIFY: no event window, and the context is invalid'],
    [
      pageWith(39, run.runMemoryFault, { flags: 8n, gpa: 0x1000n, size: 4096n }),
      'KVM_EXIT_MEMORY_FAULT: 4096 bytes at 0x1000 were used as private memory (flags 0x8)',
    ],
    [page(39), 'KVM_EXIT_MEMORY_FAULT: 0 bytes at 0x0 were used as shared memory (flags 0x0)'],
    [
      pageWith(40, run.runTdx, { nr: 0x1_0002n, data: [0x1000n, 8192n] }),
      'KVM_EXIT_TDX: the guest asks for a quote in 8192 bytes at 0x1000',
    ],
    [pageWith(40, run.runTdx, { nr: 0x1_0000n }), 'KVM_EXIT_TDX: the guest asks which TDVMCALLs there are, leaf 0x0'],
    [
      pageWith(40, run.runTdx, { nr: 0x1_0004n, data: [0x40n] }),
      'KVM_EXIT_TDX: the guest wants event notifications on vector 0x40',
    ],
    [page(40), 'KVM_EXIT_TDX: TDVMCALL 0x0'],
    [
      pageWith(43, run.runSnpReqCerts, { gpa: 0x1000n, npages: 2n }),
      'KVM_EXIT_SNP_REQ_CERTS: certificates wanted at 0x1000, room for 2 pages',
    ],
    [page(35), `KVM_EXIT_RISCV_SBI: payload ${zeros(32)} ...`],
    [page(99), `an exit that is not recognized: reason 99, payload ${zeros(32)} ...`],
  ];
  for (const [view, sentence] of cases) assert.equal(describeExit(decodeExit(view)), sentence);
});
