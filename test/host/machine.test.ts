import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  cli,
  DeadlineError,
  flat32,
  GuestFailureError,
  hlt,
  in8,
  isExit,
  machine,
  out8,
  out8Value,
  spin,
  write32,
} from '../../lib/index.ts';
import { kvmAmd } from '../support/guest32.ts';
import { errorOf, noKvm } from '../support/host.ts';

test('an empty payload, of instructions and of bytes', { skip: noKvm }, async () => {
  assert.equal(errorOf(() => flat32()).code, 'ERR_PAYLOAD_EMPTY');
  await using m = await machine();
  assert.equal(errorOf(() => m.vcpu(0).program(new Uint8Array(0))).code, 'ERR_PAYLOAD_EMPTY');
});

test('a payload that is too large, by one byte', { skip: noKvm }, async () => {
  await using m = await machine({ vcpus: 2 });
  const room = 0xe000 - 0x1000;
  assert.equal(errorOf(() => m.vcpu(1).program(new Uint8Array(room + 1))).code, 'ERR_PAYLOAD_SIZE');
  m.vcpu(1).program(new Uint8Array(room).fill(0x90));
});

test('values that do not fit an instruction', () => {
  for (const make of [() => write32(-1, 0), () => write32(0, 2 ** 32), () => out8(256), () => out8Value(1, 1.5)])
    assert.equal(errorOf(make).code, 'ERR_ARGUMENT');
});

test('machines that cannot be', async () => {
  for (const options of [{ vcpus: 0 }, { vcpus: 65 }, { vcpus: 2, memory: 0x10000 }, { device: '/nonexistent' }])
    await assert.rejects(machine(options), { name: /ArgumentError|DeviceMissingError/ });
});

test('a run without a program, and a vCPU that is not there', { skip: noKvm }, async () => {
  await using m = await machine();
  await assert.rejects(m.run(), { code: 'ERR_ARGUMENT', message: /No vCPU has a program/ });
  assert.equal(errorOf(() => m.vcpu(1)).code, 'ERR_ARGUMENT');
});

test('two vCPUs run in turns, each to its own end', { skip: noKvm }, async () => {
  await using m = await machine({ vcpus: 2 });
  m.vcpu(0).program(flat32(out8(0x42), out8(0x42), out8(0x43), hlt));
  m.vcpu(1).program(flat32(out8(0x44), hlt));
  const trace = await m.run();
  const ports = (vcpu: number) =>
    trace.named('KVM_EXIT_IO').flatMap((event) => (event.vcpu === vcpu ? [event.exit.port] : []));
  assert.deepEqual(ports(0), [0x42, 0x42, 0x43]);
  assert.deepEqual(ports(1), [0x44]);
  assert.deepEqual(
    [...trace].map(({ seq }) => seq),
    [0, 1, 2, 3],
  );
});

test('one vCPU waits in memory for what another writes', { skip: noKvm }, async () => {
  await using m = await machine({ vcpus: 2 });
  // cmp dword [0x3000], 1; jne back to the cmp
  const wait = Uint8Array.of(0x83, 0x3d, 0x00, 0x30, 0x00, 0x00, 0x01, 0x75, 0xf7);
  m.vcpu(0).program(flat32(wait, out8(0x42), hlt));
  m.vcpu(1).program(flat32(write32(0x3000, 1), hlt));
  const trace = await m.run({ until: { port: 0x42, vcpu: 0 } });
  assert.equal(trace.length, 1);
});

test('a run that is continued', { skip: noKvm }, async () => {
  await using m = await machine();
  m.vcpu(0).program(flat32(out8(0x42), out8(0x43), hlt));
  assert.equal((await m.run({ until: { exits: 1 } })).length, 1);
  const trace = await m.run({ until: { exit: 'KVM_EXIT_IO' } });
  assert.deepEqual(
    trace.named('KVM_EXIT_IO').map(({ exit }) => exit.port),
    [0x42, 0x43],
  );
  await assert.rejects(m.run({ until: { exits: 0 } }), { code: 'ERR_ARGUMENT' });
});

test('a deadline names what was waited for and shows every vCPU', { skip: noKvm }, async () => {
  await using m = await machine({ vcpus: 2 });
  m.vcpu(0).program(flat32(out8(0x42), spin));
  const error = await m.run({ until: { port: 0x99 }, deadline: '100ms' }).then(
    () => assert.fail('it ended well'),
    (e: unknown) => e,
  );
  assert.ok(error instanceof DeadlineError);
  assert.match(
    error.message,
    /^vCPU 0 spins at 0x1002: jmp 0x1002\n.*an access to port 0x99 within 100 ms; 1 exit until/,
  );
  assert.match(error.report, /^vCPU 0: .*\n.*rip 0x1002/m);
  assert.match(error.report, /^vCPU 1: mp_state UNINITIALIZED/m);
  assert.match(error.report, /^trace: 1 of 1 events\n.* #0 vCPU 0 .*port 0x42/m);
});

test('a triple fault is a failure, unless it is waited for', { skip: noKvm }, async () => {
  const ud2 = Uint8Array.of(0x0f, 0x0b);
  await using m = await machine();
  m.vcpu(0).program(flat32(cli, ud2), { idt: false });
  const error = await m.run().then(
    () => assert.fail('it ended well'),
    (e: unknown) => e,
  );
  assert.ok(error instanceof GuestFailureError);
  assert.equal(error.code, 'ERR_GUEST_FAILURE');
  assert.match(error.message, /vCPU 0: triple fault/);
  if (kvmAmd) assert.match(error.report, /rip 0xfff0 /, 'KVM resets the vCPU after an SVM shutdown');
  else assert.match(error.report, /^ {2}> 0x1001 .*0f 0b .*ud2$/m);

  await using n = await machine();
  n.vcpu(0).program(flat32(ud2), { idt: false });
  assert.equal((await n.run({ until: { exit: 'KVM_EXIT_SHUTDOWN' } })).length, 1);
});

test('a new program starts at its first instruction, whatever exit the last one ended with', {
  skip: noKvm,
}, async () => {
  await using m = await machine();
  // KVM advances past an `out`, and writes the result of an `in`, when it is entered again.
  for (const first of [out8(0x30), in8(0x31)]) {
    m.vcpu(0).program(flat32(first, spin));
    await m.run({ until: { exit: 'KVM_EXIT_IO' } });
    m.vcpu(0).program(flat32(out8Value(0x32, 0x5a), spin));
    const trace = await m.run({ until: { port: 0x32 } });
    const exit = [...trace].at(-1)!.exit;
    assert.deepEqual(exit.name === 'KVM_EXIT_IO' && [...exit.data], [0x5a]);
  }
});

test('the event loop goes on while a guest spins', { skip: noKvm }, async () => {
  await using m = await machine();
  m.vcpu(0).program(flat32(spin));
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  await assert.rejects(m.run({ deadline: '500ms' }), DeadlineError);
  clearInterval(timer);
  assert.ok(turns > 1, `${turns} turns`);
});

test('an SMI without memory for SMM, which makes KVM give the VM up, is named', { skip: noKvm }, async (t) => {
  await using m = await machine();
  if (!m.kvm.checkExtension('KVM_CAP_X86_SMM')) return t.skip('this KVM has no SMM');
  const { vcpu } = m.vcpu(0).program(flat32(spin));
  vcpu.smi();
  await assert.rejects(m.run({ deadline: '500ms' }), (error: GuestFailureError) => {
    assert.equal(error.code, 'ERR_GUEST_FAILURE');
    assert.match(error.message, /^KVM has given this VM up \(EIO\): a vCPU took an SMI/);
    return true;
  });
});

test('a VM that dies while its vCPUs are being started is one failure, whichever of them meets it', {
  skip: noKvm,
}, async (t) => {
  for (let times = 0; times < 20; times++) {
    await using m = await machine({ vcpus: 4 });
    if (!m.kvm.checkExtension('KVM_CAP_X86_SMM')) return t.skip('this KVM has no SMM');
    for (const { id } of m.vcpus) m.vcpu(id).program(flat32(spin));
    m.vcpu(0).vcpu.smi();
    await assert.rejects(m.run({ deadline: '500ms' }), { code: 'ERR_GUEST_FAILURE' });
  }
});

test('what is done to a VM is in the trace once, whether its machine did it or a script by m.vm', {
  skip: noKvm,
}, async () => {
  await using m = await machine({ apic: 'xapic' });
  const message = { addressLo: 0xfee0_0000, data: 0x41 };
  m.signalMsi(message);
  m.vm.signalMsi(message);
  m.irqLine(5, true);
  const status = m.vm.irqLineStatus(5, false);
  m.vcpu(0).nmi();
  const acts = m.trace.events.map((event) => {
    assert.ok(!isExit(event));
    const { ns, ...rest } = event;
    return rest;
  });
  const msi = {
    act: 'injection',
    ioctl: 'KVM_SIGNAL_MSI',
    message: { ...message, addressHi: 0 },
    delivered: true,
    detail: 'address 0xfee00000, data 0x41',
  };
  const line = { act: 'injection', gsi: 5 };
  const words = typeof status === 'string' ? status : 'delivered';
  assert.deepEqual(acts, [
    { seq: 0, ...msi },
    { seq: 1, ...msi },
    { seq: 2, ...line, ioctl: 'KVM_IRQ_LINE', level: true, detail: 'gsi 5 high' },
    { seq: 3, ...line, ioctl: 'KVM_IRQ_LINE_STATUS', level: false, status, detail: `gsi 5 low, ${words}` },
    { seq: 4, act: 'injection', ioctl: 'KVM_NMI', vcpu: 0, detail: 'NMI' },
  ]);
  assert.match(String(m.trace), /^#1 injection {2}KVM_SIGNAL_MSI address 0xfee00000, data 0x41$/m);
});

test("an event's time is that of the exit, by the clock of the whole host", { skip: noKvm }, async () => {
  for (const vcpus of [1, 2]) {
    const before = process.hrtime.bigint();
    await using m = await machine({ vcpus });
    for (const { id } of m.vcpus) m.vcpu(id).program(flat32(out8(0x10 + id), cli, hlt));
    await m.run();
    const after = process.hrtime.bigint();
    assert.equal(m.trace.length, vcpus);
    for (const { ns } of m.trace) {
      const at = m.trace.born + BigInt(Math.round(ns));
      assert.ok(before <= m.trace.born && m.trace.born < at && at <= after, `${before} ${m.trace.born} ${ns} ${after}`);
    }
  }
});
