/** Hyper-V's SynIC, on a kernel with CONFIG_KVM_HYPERV. The round trips are in synic-rounds.test.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  asm,
  connectSints,
  disableSynic,
  done,
  enableSynic,
  encodeSint,
  endOfMessage,
  eoi,
  freeMessage,
  type GsiRoute,
  hypervMsrs,
  idle,
  Kvm,
  type KvmDsmError,
  type Machine,
  machine,
  messageSlot,
  readMsr,
  restoreMachineState,
  type Sint,
  Synic,
  saveMachineState,
  setSint,
  sync,
  takeEventFlag,
  tell,
  type UnsupportedError,
  writeMsr,
  writeSynic,
} from '../../lib/index.ts';
import { lacks } from '../support/guest32.ts';
import { errorOf, noKvm } from '../support/host.ts';

const CAP = 'KVM_CAP_HYPERV_SYNIC2';
const skip = lacks(CAP);
const deadline = '60s';
const VECTOR = 0x65;
const AUTO_EOI = 0x66;
const SINTS = Array.from({ length: 16 }, (_, sint) => sint);
const vectorOf = (sint: number) => 0x40 + 0x11 * (sint % 8) + (sint >> 3);
const ALL_MASKED = Array.from({ length: 16 }, () => ({ vector: 0, masked: true, autoEoi: false }));

/** Behind an instruction of two bytes, such as WRMSR, a #GP goes on, and is counted at `to`. */
const countFaults = (to: number) => `
  on_gp:
    inc dword [${to}]
    add rsp, 8
    add qword [rsp], 2
    iretq`;

const word = (m: Machine, address: number) => m.memory.view.getUint32(address, true);
const values = (m: Machine) =>
  [...m.trace].flatMap(({ word }) => (word?.kind === 'value' ? [[word.name, word.value]] : []));

test('a kernel without it: the error names the capability and the Kconfig', {
  skip: noKvm || (skip === false && 'this kernel has the SynIC'),
}, async () => {
  using kvm = Kvm.open();
  using vm = kvm.createVm();
  const vcpu = vm.createVcpu(0);
  const errors: [KvmDsmError, string][] = [
    [errorOf(() => Synic.enable(vm, vcpu)), CAP],
    [errorOf(() => Synic.enable(vm, vcpu, 'zero')), 'KVM_CAP_HYPERV_SYNIC'],
    [errorOf(() => kvm.supportedHvCpuid()), 'KVM_CAP_SYS_HYPERV_CPUID'],
    [
      await machine({ synic: 'keep' }).then(
        () => assert.fail('made'),
        (error: KvmDsmError) => error,
      ),
      CAP,
    ],
  ];
  for (const [error, cap] of errors) {
    const { code, missing, kconfig, exitCode, message } = error as UnsupportedError;
    assert.deepEqual([code, missing, kconfig, exitCode], ['ERR_UNSUPPORTED', cap, 'CONFIG_KVM_HYPERV', 3]);
    assert.ok(message.includes(cap) && message.includes('CONFIG_KVM_HYPERV'), message);
  }
});

test('a new SynIC: SCONTROL on, no pages, every SINT masked; VP indices in the order of the vCPUs', {
  skip,
}, async () => {
  await using m = await machine({ vcpus: 3, synic: 'keep' });
  assert.deepEqual(
    m.vcpus.map(({ synic }) => synic.vpIndex),
    [0, 1, 2],
  );
  for (const { synic, vcpu } of m.vcpus) {
    assert.deepEqual(synic.registers(), {
      enabled: true,
      version: 1n,
      messagePage: null,
      eventPage: null,
      sints: ALL_MASKED,
    });
    assert.deepEqual(vcpu.enabledCaps, [{ cap: CAP, args: [] }]);
  }
  await using plain = await machine();
  assert.equal(errorOf(() => plain.vcpu(0).synic).code, 'ERR_ARGUMENT');
  assert.equal(errorOf(() => Synic.enable(m.vm, m.vcpu(0).vcpu, 'both' as never)).code, 'ERR_ARGUMENT');
});

test('without in-kernel local APIC there is none, and a split irqchip has no resampler', { skip }, async () => {
  using kvm = Kvm.open();
  using vm = kvm.createVm();
  assert.equal(errorOf(() => Synic.enable(vm, vm.createVcpu(0))).code, 'ERR_NO_IRQCHIP');
  await assert.rejects(machine({ synic: 'keep', irqchip: 'none' }), { code: 'ERR_ARGUMENT' });

  await using m = await machine({ synic: 'keep', irqchip: 'split', apic: 'xapic' });
  const end = { synic: m.vcpu(0).synic, sint: 4 };
  assert.equal(errorOf(() => connectSints(m.vm, [end])).code, 'ERR_NO_IRQCHIP');
  const [line] = connectSints(m.vm, [end], { resample: false });
  m.vcpu(0).program(asm.long64`
    ${setSint(4, { vector: 0x61 })}
    ${sync('ready')}
    ${idle()}`);
  await m.run({ until: { sync: 'ready' }, deadline });
  assert.equal(line.acknowledged, null);
  line.signal();
  await m.run({ deadline });
  assert.deepEqual([...m.vcpu(0).interrupts], [[0x61, 1]]);
  await assert.rejects(line.deliver({ type: 1 }, '1s'), { code: 'ERR_ARGUMENT' });
});

test("the guest's writes of SCONTROL, SIMP and SIEFP come out as type 1; the others do not", { skip }, async () => {
  await using m = await machine({ vcpus: 2, synic: 'keep' });
  const [simp, siefp] = [m.shared, m.shared + 0x1000];
  const { synic } = m.vcpu(1);
  m.vcpu(1).program(asm.long64`
    ${enableSynic({ messages: simp, events: siefp })}
    ${setSint(7, { vector: 0x47, autoEoi: true })}
    ${endOfMessage()}
    ${disableSynic()}
    ${writeSynic('SIMP', 0)}
    ${sync('end')}`);
  const end = { until: { sync: 'end' }, deadline } as const;
  const trace = await m.run(end);
  const all = { control: 1n, msgPage: BigInt(simp) | 1n, evtPage: BigInt(siefp) | 1n };
  assert.deepEqual(
    trace.named('KVM_EXIT_HYPERV').map(({ vcpu, exit }) => [vcpu, exit.type, exit.synic, exit.hcall, exit.syndbg]),
    [
      [1, 1, { msr: hypervMsrs.SIMP, ...all, evtPage: 0n }, null, null],
      [1, 1, { msr: hypervMsrs.SIEFP, ...all }, null, null],
      [1, 1, { msr: hypervMsrs.SCONTROL, ...all }, null, null],
      [1, 1, { msr: hypervMsrs.SCONTROL, ...all, control: 0n }, null, null],
      [1, 1, { msr: hypervMsrs.SIMP, ...all, control: 0n, msgPage: 0n }, null, null],
    ],
  );
  // The machine took notice of all of them, and the kernel says the same.
  assert.deepEqual([synic.enabled, synic.messagePage, synic.eventPage], [false, null, BigInt(siefp)]);
  const { sints, ...rest } = synic.registers();
  assert.deepEqual(rest, { enabled: false, version: 1n, messagePage: null, eventPage: BigInt(siefp) });
  assert.deepEqual(sints[7], { vector: 0x47, masked: false, autoEoi: true });
  assert.equal(synic.see(trace.named('KVM_EXIT_IO').at(-1)!.exit), false);
  // vCPU 0 has one of its own.
  assert.deepEqual(m.vcpu(0).synic.registers().sints, ALL_MASKED);
});

test('a hypercall that posts a message comes out as type 2, and takes its result back', { skip }, async () => {
  await using m = await machine({ synic: 'keep' });
  const [POST_MESSAGE, code, input] = [0x5c, m.shared, m.shared + 0x1000];
  m.vcpu(0).program(asm.long64`
    ${writeMsr(hypervMsrs.GUEST_OS_ID, 1)}
    ${writeMsr(hypervMsrs.HYPERCALL, code + 1)}
    mov ecx, ${POST_MESSAGE}
    mov edx, ${input}
    mov r8d, 0x1234
    mov eax, ${code}
    call rax
    ${tell('status', 'eax')}
    ${sync('end')}`);
  const trace = await m.run({ until: { exit: 'KVM_EXIT_HYPERV' }, deadline });
  const { exit } = trace.named('KVM_EXIT_HYPERV')[0]!;
  const hcall = { input: BigInt(POST_MESSAGE), result: 0n, params: [BigInt(input), 0x1234n] };
  assert.deepEqual([exit.type, exit.synic], [2, null]);
  assert.deepEqual({ ...exit.hcall, result: 0n }, hcall);
  const { vcpu } = m.vcpu(0);
  assert.equal(errorOf(() => vcpu.completeHypervSyndbg(0n)).code, 'ERR_EXIT_MISMATCH');
  vcpu.completeHypervHcall(0x13n); // HV_STATUS_INSUFFICIENT_BUFFERS
  await m.run({ until: { sync: 'end' }, deadline });
  assert.deepEqual(values(m), [['status', 0x13]]);
  assert.equal(errorOf(() => vcpu.completeHypervHcall(0n)).code, 'ERR_EXIT_MISMATCH');
});

test('the synthetic debugger comes out as type 3, and takes its status back', { skip }, async () => {
  await using m = await machine({ synic: 'keep' });
  m.vcpu(0).program(asm.long64`
    ${writeMsr(hypervMsrs.SYNDBG_PENDING_BUFFER, 0x5000)}
    ${writeMsr(hypervMsrs.SYNDBG_CONTROL, 0x0001_0002)}
    ${readMsr(hypervMsrs.SYNDBG_STATUS)}
    ${tell('status', 'eax')}
    ${sync('end')}`);
  const trace = await m.run({ until: { exit: 'KVM_EXIT_HYPERV', count: 2 }, deadline });
  const [pending, control] = trace.named('KVM_EXIT_HYPERV').map(({ exit }) => exit);
  const none = { status: 0n, sendPage: 0n, recvPage: 0n };
  assert.deepEqual([pending!.type, pending!.synic, pending!.hcall], [3, null, null]);
  const { SYNDBG_PENDING_BUFFER, SYNDBG_CONTROL } = hypervMsrs;
  assert.deepEqual(pending!.syndbg, { msr: SYNDBG_PENDING_BUFFER, control: 0n, ...none, pendingPage: 0x5000n });
  assert.deepEqual(control!.syndbg, { msr: SYNDBG_CONTROL, control: 0x1_0002n, ...none, pendingPage: 0x5000n });
  m.vcpu(0).vcpu.completeHypervSyndbg(0x77n);
  await m.run({ until: { sync: 'end' }, deadline });
  assert.deepEqual(values(m), [['status', 0x77]]);
});

for (const [pages, what] of [
  ['zero', 'is cleared'],
  ['keep', 'is kept'],
] as const)
  test(`a page that the guest enables ${what}: synic '${pages}'`, { skip }, async () => {
    await using m = await machine({ synic: pages });
    const [simp, siefp] = [m.shared, m.shared + 0x1000];
    m.memory.bytes.fill(0xa5, simp, siefp + 0x1000);
    m.vcpu(0).program(asm.long64`
      ${enableSynic({ messages: simp, events: siefp })}
      ${sync('end')}`);
    await m.run({ until: { sync: 'end' }, deadline });
    const expected = pages === 'zero' ? 0 : 0xa5;
    assert.ok(m.memory.bytes.subarray(simp, siefp + 0x1000).every((byte) => byte === expected));
  });

test('a page outside of memory: zero refuses it with #GP, keep takes it; nothing is posted there', {
  skip,
}, async () => {
  for (const pages of ['zero', 'keep'] as const) {
    await using m = await machine({ synic: pages });
    const outside = 0xd000_0000;
    m.vcpu(0).program(
      asm.long64`
      ${writeSynic('SIMP', outside + 1)}
      ${writeSynic('SIEFP', outside + 1)}
      ${sync('end')}
      ${countFaults(m.shared)}`,
      { handlers: { '#GP': 'on_gp' } },
    );
    await m.run({ until: { sync: 'end' }, deadline });
    assert.equal(word(m, m.shared), pages === 'zero' ? 2 : 0, pages);
    const { synic } = m.vcpu(0);
    assert.equal(synic.registers().messagePage, pages === 'zero' ? null : BigInt(outside));
    assert.deepEqual([synic.postMessage(0, { type: 1 }), synic.setEventFlag(0, 0)], ['disabled', 'disabled']);
    assert.deepEqual([synic.message(0), synic.eventFlags(0)], [null, []]);
  }
});

test('every SINT of every vCPU: message and event flag arrive there, and at no other', { skip }, async () => {
  await using m = await machine({ vcpus: 3, apic: 'xapic', synic: 'keep' });
  const pageOf = (id: number) => m.shared + id * 0x2000;
  for (const { id } of m.vcpus)
    m.vcpu(id).program(asm.long64`
      ${enableSynic({ messages: pageOf(id), events: pageOf(id) + 0x1000 })}
      ${SINTS.map((sint) => setSint(sint, { vector: vectorOf(sint) }))}
      ${done()}`);
  await m.run({ until: 'done', deadline });
  const ends = m.vcpus.flatMap(({ synic }) => SINTS.map((sint) => ({ synic, sint })));
  const lines = connectSints(m.vm, ends);
  assert.deepEqual(
    lines.map(({ gsi }) => gsi),
    lines.map((_, at) => 24 + at),
  );
  // Each by itself: what else is counted would be another one's.
  for (const { synic, sint } of lines) {
    const line = lines[synic.vpIndex * 16 + sint]!;
    const payload = Uint8Array.of(synic.vpIndex, sint, 0xee);
    assert.equal(line.post({ type: 0x8000_0001, sender: 7n, payload }), 'posted');
    assert.equal(line.raise(sint * 100 + 1), 'set');
    const page = pageOf(synic.vpIndex);
    assert.equal(word(m, messageSlot(page, sint)), 0x8000_0001);
    assert.deepEqual([...m.memory.read(messageSlot(page, sint) + 4, 2)], [3, 0]);
    assert.deepEqual([...m.memory.read(messageSlot(page, sint) + 16, 3)], [...payload]);
    assert.deepEqual(synic.message(sint), { type: 0x8000_0001, sender: 7n, payload, pending: false });
    assert.deepEqual(synic.eventFlags(sint), [sint * 100 + 1]);
    // Both came before the vCPU ran: one interrupt.
    const { irr } = m.vcpu(synic.vpIndex).vcpu.lapic();
    assert.deepEqual(
      irr,
      SINTS.filter((other) => other <= sint)
        .map(vectorOf)
        .sort((a, b) => a - b),
    );
    assert.equal(line.acknowledged?.read(), null);
  }
  await m.run({ until: 'halted', deadline });
  for (const { id, interrupts } of m.vcpus)
    assert.deepEqual(
      [...interrupts],
      SINTS.map((sint) => [vectorOf(sint), 1]).sort(([a], [b]) => a! - b!),
      `vCPU ${id}`,
    );
  // One EOI for each.
  for (const { sint, acknowledged } of lines) assert.equal(acknowledged?.read(), 1n, `SINT ${sint}`);
});

test('vectors 0 to 15 are #GP for every SINT, but not where it is masked; 16 and 255 are none', { skip }, async () => {
  await using m = await machine({ synic: 'keep' });
  const counter = (n: number) => m.shared + n * 4;
  const count = (first: string, vectors: [from: number, to: number], to: number) => `
    mov edi, ${vectors[0]}
  .${first}_vector:
    mov ecx, ${hypervMsrs.SINT0}
  .${first}_sint:
    mov eax, edi
    or eax, ${first === 'masked' ? 0x10000 : 0}
    xor edx, edx
    wrmsr
    inc ecx
    cmp ecx, ${hypervMsrs.SINT0 + 16}
    jb .${first}_sint
    inc edi
    cmp edi, ${vectors[1]}
    jbe .${first}_vector
    mov eax, [${counter(0)}]
    mov [${counter(to)}], eax`;
  m.vcpu(0).program(
    asm.long64`
    start:
    ${count('bad', [0, 15], 1)}
    ${count('masked', [0, 15], 2)}
    ${count('good', [16, 16], 3)}
    ${count('last', [255, 255], 4)}
    ${sync('end')}
    ${countFaults(counter(0))}`,
    { handlers: { '#GP': 'on_gp' } },
  );
  await m.run({ until: { sync: 'end' }, deadline });
  assert.deepEqual(
    [1, 2, 3, 4].map((n) => word(m, counter(n))),
    [256, 256, 256, 256],
  );
  const last = { vector: 255, masked: false, autoEoi: false };
  assert.deepEqual(
    m.vcpu(0).synic.registers().sints,
    SINTS.map(() => last),
  );
});

test('#GP: a SynIC register without SynIC, or without Hyper-V in CPUID; SVERSION cannot be written', {
  skip,
}, async () => {
  const faults = async (m: Machine, msr: number) => {
    m.vcpu(0).program(
      asm.long64`
      ${writeMsr(msr, 0x1_0000)}
      ${sync('end')}
      ${countFaults(m.shared)}`,
      { handlers: { '#GP': 'on_gp' } },
    );
    m.memory.view.setUint32(m.shared, 0, true);
    await m.run({ until: { sync: 'end' }, deadline });
    return word(m, m.shared);
  };
  const { SINT0, SVERSION } = hypervMsrs;
  await using without = await machine();
  assert.equal(await faults(without, SINT0), 1, 'no SynIC, no Hyper-V');
  await using hidden = await machine({
    synic: 'keep',
    cpuid: (cpuid) => cpuid.filter(({ function: leaf }) => leaf >>> 8 !== 0x40_0000),
  });
  assert.equal(await faults(hidden, SINT0), 1, 'no Hyper-V in CPUID');
  await using both = await machine({ synic: 'keep' });
  assert.equal(await faults(both, SINT0), 0, 'SynIC and Hyper-V');
  assert.equal(await faults(both, SVERSION), 1, 'read-only');
});

/** vCPU 0 sets up SINT 5 so, and counts vector 0x65. */
async function withSint(fields: Sint): Promise<Machine> {
  const m = await machine({ vcpus: 2, apic: 'xapic', synic: 'keep' });
  m.vcpu(0).program(asm.long64`
    ${enableSynic({ messages: m.shared, events: m.shared + 0x1000 })}
    ${setSint(5, fields)}
    ${sync('ready')}
    ${idle()}`);
  await m.run({ until: { sync: 'ready' }, deadline });
  return m;
}

test('a masked SINT delivers nothing until it is unmasked and signalled again', { skip }, async () => {
  await using m = await withSint({ vector: 0x65, masked: true });
  const [line] = connectSints(m.vm, [{ synic: m.vcpu(0).synic, sint: 5 }]);
  line.signal();
  assert.equal(line.raise(9), 'set');
  assert.deepEqual(m.vcpu(0).vcpu.lapic().irr, []);
  await m.run({ deadline });
  assert.deepEqual([...m.vcpu(0).interrupts], []);
  assert.equal(line.acknowledged?.read(), null);
  m.vcpu(0).vcpu.setMsr(hypervMsrs.SINT0 + 5, 0x65n);
  assert.equal(line.raise(9), 'already', 'still there');
  line.signal();
  assert.deepEqual(m.vcpu(0).vcpu.lapic().irr, [0x65]);
  await m.run({ deadline });
  assert.deepEqual([...m.vcpu(0).interrupts], [[0x65, 1]]);
  assert.equal(line.acknowledged?.read(), 1n);
});

test('a disabled page, and SCONTROL off: nothing is posted, nothing is signalled', { skip }, async () => {
  await using m = await withSint({ vector: 0x65 });
  const { synic, vcpu } = m.vcpu(0);
  const [line] = connectSints(m.vm, [{ synic, sint: 5 }]);
  const before = m.memory.read(m.shared, 0x2000);
  for (const [msr, messages, events] of [
    [hypervMsrs.SCONTROL, 'disabled', 'disabled'],
    [hypervMsrs.SIMP, 'disabled', 'set'],
    [hypervMsrs.SIEFP, 'posted', 'disabled'],
  ] as const) {
    const was = vcpu.getMsr(msr);
    vcpu.setMsr(msr, was & ~1n);
    synic.registers();
    assert.deepEqual([line.post({ type: 1 }), line.raise(3)], [messages, events], msr.toString(16));
    vcpu.setMsr(msr, was);
    synic.registers();
    m.memory.write(m.shared, before);
  }
  vcpu.setMsr(hypervMsrs.SCONTROL, 0n);
  synic.registers();
  await assert.rejects(line.deliver({ type: 1 }, '1s'), { code: 'ERR_ARGUMENT' });
});

test('EOI acknowledges its SINT, EOM every SINT of its vCPU', { skip }, async () => {
  await using m = await machine({ vcpus: 2, apic: 'xapic', synic: 'keep' });
  for (const { id } of m.vcpus)
    m.vcpu(id).program(
      asm.long64`
      ${setSint(1, { vector: 0x51 })}
      ${setSint(2, { vector: 0x52 })}
      ${sync('ready')}
      sti
      hlt
      ${id === 0 ? endOfMessage() : ''}
      ${done()}`,
      { interrupts: false },
    );
  await m.run({ until: { sync: 'ready', count: 2 }, deadline });
  const ends = m.vcpus.flatMap(({ synic }) => [1, 2].map((sint) => ({ synic, sint })));
  const lines = connectSints(m.vm, ends);
  const acknowledged = () => lines.map((line) => line.acknowledged?.read() ?? 0n);
  for (const at of [0, 2]) lines[at]!.signal();
  assert.deepEqual(acknowledged(), [0n, 0n, 0n, 0n], 'nothing ran yet');
  await m.run({ until: 'done', deadline });
  assert.deepEqual(acknowledged(), [2n, 1n, 1n, 0n]);
});

test('auto-EOI: over when it is delivered; EOM alone acknowledges it', { skip }, async () => {
  await using m = await machine({ vcpus: 2, apic: 'xapic', synic: 'keep' });
  m.vcpu(0).program(
    asm.long64`
      ${setSint(6, { vector: 0x66, autoEoi: true })}
      ${sync('ready')}
      sti
      hlt
      ${sync('taken')}
      ${endOfMessage()}
      ${done()}
    on_event:                   ; no EOI
      inc dword [${m.shared}]
      iretq`,
    { interrupts: false, handlers: { [AUTO_EOI]: 'on_event' } },
  );
  await m.run({ until: { sync: 'ready' }, deadline });
  const { synic, vcpu } = m.vcpu(0);
  const [line] = connectSints(m.vm, [{ synic, sint: 6 }]);
  line.signal();
  await m.run({ until: { sync: 'taken' }, deadline });
  assert.equal(word(m, m.shared), 1);
  assert.deepEqual([vcpu.lapic().isr, vcpu.lapic().irr], [[], []]);
  assert.equal(line.acknowledged?.read(), null);
  // The priority does not hold it back either: again, without any EOI.
  line.signal();
  await m.run({ until: 'done', deadline });
  await m.run({ deadline });
  assert.equal(word(m, m.shared), 2);
  assert.equal(line.acknowledged?.read(), 1n, 'EOM');
});

test('a busy slot gets the pending flag, and the message behind the end-of-message notice', { skip }, async () => {
  await using m = await machine({ vcpus: 2, apic: 'xapic', synic: 'keep' });
  const slot = messageSlot(m.shared, 5);
  m.vcpu(0).program(
    asm.long64`
      ${enableSynic({ messages: m.shared })}
      ${setSint(5, { vector: 0x65 })}
      ${sync('ready')}
      ${done()}
    on_message:
      ${tell('read', `dword [${slot + 16}]`)}
      ${freeMessage(slot)}
      ${eoi()}
      iretq`,
    { handlers: { [VECTOR]: 'on_message' } },
  );
  await m.run({ until: { sync: 'ready' }, deadline });
  const { synic } = m.vcpu(0);
  const [line] = connectSints(m.vm, [{ synic, sint: 5 }]);
  const message = (n: number) => ({ type: 1, sender: BigInt(n), payload: Uint8Array.of(n, 0, 0, 0) });
  assert.equal(line.post(message(1)), 'posted');
  assert.equal(synic.message(5)?.pending, false);
  assert.deepEqual([line.post(message(2)), line.post(message(3))], ['busy', 'busy']);
  const first = { type: 1, sender: 1n, payload: message(1).payload, pending: true };
  assert.deepEqual(synic.message(5), first, 'the first one stays as it is');
  assert.equal(line.acknowledged?.read(), null);
  await assert.rejects(line.deliver(message(2), '10ms'), { code: 'ERR_DEADLINE' });
  await m.run({ until: 'done', deadline });
  await m.run({ deadline });
  assert.equal(line.acknowledged?.read(), 2n, 'EOM and EOI');
  assert.equal(line.post(message(2)), 'posted');
  assert.equal(synic.message(5)?.pending, false);
  await m.run({ deadline });
  assert.equal(line.acknowledged?.read(), 1n, 'EOI alone: no other waited');
  assert.deepEqual(values(m), [
    ['read', 1],
    ['read', 2],
  ]);
});

test('event flags: the host sets each of 2048 once, the guest takes them back', { skip }, async () => {
  await using m = await machine({ vcpus: 2, apic: 'xapic', synic: 'keep' });
  const flags = [0, 31, 32, 1000, 2047];
  m.vcpu(0).program(asm.long64`
    ${enableSynic({ events: m.shared })}
    ${sync('ready')}
    ${flags.map((flag) => takeEventFlag(m.shared, 15, flag))}
    setc al
    movzx eax, al
    ${tell('the last one was set', 'eax')}
    ${takeEventFlag(m.shared, 15, 2047)}
    setc al
    movzx eax, al
    ${tell('it is set no more', 'eax')}
    ${sync('end')}`);
  await m.run({ until: { sync: 'ready' }, deadline });
  const { synic } = m.vcpu(0);
  for (let flag = 0; flag < 2048; flag++) assert.equal(synic.setEventFlag(15, flag), 'set');
  for (const flag of flags) assert.equal(synic.setEventFlag(15, flag), 'already');
  assert.ok(m.memory.read(m.shared + 15 * 256, 256).every((byte) => byte === 0xff));
  assert.ok(
    m.memory.read(m.shared, 15 * 256).every((byte) => byte === 0),
    'of this SINT alone',
  );
  await m.run({ until: { sync: 'end' }, deadline });
  assert.deepEqual(values(m), [
    ['the last one was set', 1],
    ['it is set no more', 0],
  ]);
  const left = synic.eventFlags(15);
  assert.equal(left.length, 2048 - flags.length);
  assert.deepEqual(
    flags.filter((flag) => left.includes(flag)),
    [],
  );
});

test('lines: a gsi that leads elsewhere is refused, a closed one signals no more', { skip }, async () => {
  await using m = await withSint({ vector: 0x65 });
  const { synic, vcpu } = m.vcpu(0);
  assert.equal(errorOf(() => connectSints(m.vm, [{ synic, sint: 5, gsi: 3 }])).code, 'ERR_ARGUMENT');
  assert.equal(errorOf(() => connectSints(m.vm, [{ synic, sint: 16 }])).code, 'ERR_ARGUMENT');
  assert.equal(errorOf(() => connectSints(m.vm, [{ synic: {} as never, sint: 1 }])).code, 'ERR_ARGUMENT');
  assert.ok(m.vm.gsiRouting === null);
  const [line] = connectSints(m.vm, [{ synic, sint: 5, gsi: 900 }]);
  const routes = m.vm.gsiRouting as readonly GsiRoute[] | null;
  assert.deepEqual(routes?.at(-1), { type: 'hvSint', gsi: 900, vcpu: 0, sint: 5 });
  assert.equal(routes?.length, 41, 'beside those of the irqchip');
  // By the line's ioctl as well.
  m.vm.irqLine(900, true);
  assert.deepEqual(vcpu.lapic().irr, [0x65]);
  assert.equal(errorOf(() => connectSints(m.vm, [{ synic, sint: 5, gsi: 901 }])).code, 'ERR_ARGUMENT');
  line.close();
  assert.equal(errorOf(() => line.signal()).code, 'ERR_CLOSED');
  line.close();
  using again = connectSints(m.vm, [{ synic, sint: 5 }])[0];
  assert.equal(again.gsi, 900, 'the one that it has');
});

test('a saved machine has its SynIC, its pages and its routes', { skip }, async () => {
  await using m = await withSint({ vector: VECTOR });
  const [line] = connectSints(m.vm, [{ synic: m.vcpu(0).synic, sint: 5 }]);
  m.vcpu(0).vcpu.setMsr(hypervMsrs.SINT0 + 6, encodeSint({ vector: AUTO_EOI, autoEoi: true }));
  assert.equal(line.post({ type: 1, sender: 9n }), 'posted');
  const before = m.vcpu(0).synic.registers();
  assert.equal(before.messagePage, BigInt(m.shared));
  const state = saveMachineState(m.kvm, m.vm);

  using kvm = Kvm.open();
  using vm = kvm.createVm();
  const memories = restoreMachineState(vm, state);
  try {
    const vcpu = vm.vcpus.get(0)!;
    const synic = Synic.of(vm, vcpu);
    assert.deepEqual(synic.registers(), before);
    assert.equal(synic.message(5)?.sender, 9n);
    // The save had the vCPU take it: it is in service, on its way to the guest.
    const { irr, isr } = vcpu.lapic();
    assert.deepEqual([...irr, ...isr], [VECTOR], 'its interrupt waits');
    // Its line is new: an eventfd is no part of a machine's state. Its gsi is the one that it had.
    using again = connectSints(vm, [{ synic, sint: 5 }])[0];
    assert.equal(again.gsi, line.gsi);
    assert.equal(again.post({ type: 2 }), 'busy');
    vcpu.setMsr(hypervMsrs.EOM, 0n);
    assert.equal(again.acknowledged?.read(), 1n);
  } finally {
    for (const memory of memories) memory.close();
  }
  using plain = kvm.createVm();
  assert.equal(errorOf(() => Synic.of(plain, plain.createVcpu(0))).code, 'ERR_ARGUMENT');
});
