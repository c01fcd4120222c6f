// What a failure says of its cause, in every mode, and what stands in its report.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  asm,
  assertThat,
  done,
  emulatesGuests,
  type Failure,
  GuestMemory,
  initSipiSipi,
  ipi,
  type KvmDsmError,
  type Machine,
  machine,
  mpStates,
  nmi,
  type RunUntilOptions,
  sync,
  type Until,
  waitUntil,
  writeApic,
} from '../../lib/index.ts';
import { noKvm } from '../support/host.ts';

const options = { skip: noKvm };
const noService = noKvm || (emulatesGuests() && "this host's KVM keeps no vector in service");
const modes = ['flat32', 'long64'] as const;
const apics = ['xapic', 'x2apic'] as const;

/** The first line of what a run that must fail says. */
async function failureOf(m: Machine, run: RunUntilOptions): Promise<KvmDsmError> {
  return m.run(run).then(
    () => assert.fail('it ended well'),
    (error: KvmDsmError) => error,
  );
}

const firstLine = (error: Error): string => error.message.split('\n', 1)[0]!;
const text = (error: KvmDsmError): string => `${error.message}\n${error.report}`;
const partsOf = ({ failure }: KvmDsmError): Failure => {
  assert.ok(typeof failure === 'object');
  return failure;
};

const idle = `
  .idle:
    hlt
    jmp .idle`;
const never = { until: { port: 0x99 }, deadline: '1s' } as const;
const access = (apic: 'xapic' | 'x2apic') => ({ x2apic: apic === 'x2apic' });

for (const apic of apics)
  test(`${apic}: an AP that gets INIT, but no SIPI`, options, async () => {
    await using m = await machine({ vcpus: 4, apic });
    m.vcpu(3).program(asm.long64`hlt`, { start: 'sipi' });
    m.vcpu(0).program(asm.long64`${ipi({ to: 3, deliveryMode: 'init', ...access(apic) })}${idle}`);
    const error = await failureOf(m, never);
    assert.match(
      firstLine(error),
      /^vCPU 3 never started: it waits for SIPI \(mp_state INIT_RECEIVED\).* no SIPI (was sent )?to APIC id 3/,
    );
  });

for (const mode of modes) {
  for (const apic of apics)
    test(`${mode}, ${apic}: a LAPIC that its guest has disabled, and a broadcast`, options, async () => {
      await using m = await machine({ vcpus: 3, apic });
      const way = access(apic);
      m.vcpu(0).program(asm[mode]`
        ${waitUntil(m.shared, 1)}
        ${ipi({ to: 'others', vector: 0x93, ...way })}
        ${waitUntil(m.vcpu(2).counterAddress(0x93), 1)}
        `);
      m.vcpu(1).program(asm[mode]`${idle}`);
      m.vcpu(2).program(asm[mode]`
        ${writeApic('SVR', 0xff, way)}
        mov dword [${m.shared}], 1
        ${idle}`);
      const error = await failureOf(m, never);
      assert.equal(
        firstLine(error),
        "vCPU 2's LAPIC is software-disabled (SVR bit 8 is 0): vector 0x93 that vCPU 0 sent was not accepted",
      );
      assert.match(error.report, /^also: vCPU 0 is in a loop at 0x\w+, as each of \d+ looks found: pause; cmp dword/m);
      assert.doesNotMatch(text(error), /vCPU 1's LAPIC/);
    });

  for (const apic of apics)
    test(`${mode}, ${apic}: a vector that waits behind one without EOI`, { skip: noService }, async () => {
      await using m = await machine({ vcpus: 4, apic });
      const way = access(apic);
      m.vcpu(0).program(asm[mode]`
        ${ipi({ to: 3, vector: 0x95, ...way })}
        ${waitUntil(m.shared, 1)}
        ${ipi({ to: 3, vector: 0x91, ...way })}
        ${idle}`);
      m.vcpu(3).program(
        asm[mode]`
        ${idle}
        handler:
          mov dword [${m.shared}], 1
          ${mode === 'long64' ? 'iretq' : 'iretd'}`,
        { handlers: { 149: 'handler' } },
      );
      assert.equal(
        firstLine(await failureOf(m, never)),
        'vCPU 3: vector 0x95 is in service and 0x91 waits in the IRR: its handler has written no EOI',
      );
    });

  test(`${mode}: interrupts disabled, and a vector that waits`, options, async () => {
    await using m = await machine({ vcpus: 2, apic: 'xapic' });
    m.vcpu(0).program(asm[mode]`
        ${waitUntil(m.shared, 1)}
        ${ipi({ to: 1, vector: 0x77 })}
        ${idle}`);
    m.vcpu(1).program(asm[mode]`
        cli
        mov dword [${m.shared}], 1
        hlt`);
    assert.equal(
      firstLine(await failureOf(m, never)),
      'vCPU 1 is in HLT with interrupts disabled (RFLAGS.IF is 0): vector 0x77 waits in the IRR',
    );
  });

  test(`${mode}: a TPR that keeps a vector back`, options, async () => {
    await using m = await machine({ vcpus: 2, apic: 'xapic' });
    m.vcpu(0).program(asm[mode]`
        ${waitUntil(m.shared, 1)}
        ${ipi({ to: 1, vector: 0x58 })}
        ${idle}`);
    m.vcpu(1).program(asm[mode]`
        ${writeApic('TPR', 0x60)}
        mov dword [${m.shared}], 1
        ${idle}`);
    assert.equal(
      firstLine(await failureOf(m, never)),
      'vCPU 1: its TPR 0x60 keeps vector 0x58 back, which waits in the IRR',
    );
  });

  test(`${mode}: a fault names its instruction, and the registers are those of it`, options, async () => {
    await using m = await machine({ vcpus: 3 });
    m.vcpu(2).program(asm[mode]`
        mov eax, 0x1234
        mov ebx, 0x4321
      touch:
        mov ds, eax
    `);
    const error = await failureOf(m, never);
    assert.equal(error.code, 'ERR_GUEST_FAULT');
    assert.equal(firstLine(error), 'vCPU 2: #GP(0x1234) at 0x2100a (touch): mov ds, eax');
    assert.match(error.report, /^ {2}rip 0x2100a /m);
    assert.match(error.report, /^ {2}rax 0x1234 {2}rbx 0x4321/m);
    assert.match(error.report, /^ {2}> 0x2100a /m);
  });

  test(`${mode}: a loop is told by its instructions, one that spins alone by its jump`, options, async () => {
    await using m = await machine({ vcpus: 2 });
    const code = asm[mode]`
      again:
        inc ebx
        dec ecx
        jmp again
    `;
    m.vcpu(0).program(code);
    const alone = await failureOf(m, { ...never, deadline: '300ms' });
    assert.match(
      firstLine(alone),
      /^vCPU 0 is in a loop at 0x1000 \(again\), as each of \d+ looks found: inc ebx; dec ecx; jmp 0x1000$/,
    );
    m.vcpu(1).program(asm[mode]`
        mov eax, 1
      here:
        jmp here
    `);
    const both = await failureOf(m, { ...never, deadline: '300ms' });
    assert.equal(firstLine(both), 'vCPU 1 spins at 0x11005 (here): jmp 0x11005');
    assert.match(both.report, /^also: vCPU 0 is in a loop at 0x1000/m);
  });
}

test('a run for all to be idle is not called idle: the one that spins is named', options, async () => {
  await using m = await machine({ vcpus: 2 });
  m.vcpu(0).program(asm.flat32`
      cli
      hlt`);
  m.vcpu(1).program(asm.flat32`
    round:
      jmp round`);
  const error = await failureOf(m, { deadline: '300ms' });
  assert.deepEqual(partsOf(error).causes, ['vCPU 1 spins at 0x11000 (round): jmp 0x11000']);
});

test('sync points: one that no program has, one of another vCPU, too few of them', options, async () => {
  await using m = await machine({ vcpus: 2 });
  m.vcpu(0).program(asm.flat32`${sync('ready')}${idle}`);
  m.vcpu(1).program(asm.flat32`${sync('steady')}${idle}`);
  assert.match(
    firstLine(await failureOf(m, { until: { sync: 'raedy' }, deadline: '300ms' })),
    /^no program has sync point "raedy" \(.*\); what came: .*; did you mean "ready"\?$/,
  );
  await using n = await machine({ vcpus: 2 });
  n.vcpu(0).program(asm.flat32`${sync('ready')}${idle}`);
  n.vcpu(1).program(asm.flat32`${idle}`);
  assert.equal(
    firstLine(await failureOf(n, { until: { sync: 'ready', vcpu: 1 }, deadline: '300ms' })),
    'sync point "ready" came from vCPU 0, and the run waits for it from vCPU 1',
  );
  n.vcpu(0).program(asm.flat32`${sync('ready')}${idle}`);
  const few = await failureOf(n, { until: { sync: 'ready', count: 3 }, deadline: '300ms' });
  assert.match(
    firstLine(few),
    /^sync point "ready" came \d of 3 times in this run, and 1 before it, which do not count$/,
  );
});

const before = (what: string, seq: number) =>
  `${what} came before this run, as #${seq}, and not in it: a run waits for what is still to come`;

test('what came before a run is no part of it, and is told so', options, async () => {
  await using m = await machine();
  m.vcpu(0).program(asm.flat32`
      out 0x44, al
      ${sync('begun')}
      mov [0xd0000000], eax
      ${done()}`);
  const late = async (until: Until) => failureOf(m, { until, deadline: '200ms' });
  await m.run({ until: 'done' });
  const again = await late({ sync: 'begun' });
  assert.equal(firstLine(again), before('sync point "begun"', 1));
  assert.match(again.message, /; 0 exits until then, and 4 before this run$/);
  assert.equal(firstLine(await late({ port: 0x44 })), before('an access to port 0x44', 0));
  assert.equal(firstLine(await late({ exit: 'KVM_EXIT_MMIO' })), before('KVM_EXIT_MMIO', 2));
  assert.equal(
    firstLine(await late('done')),
    'vCPU 0 has not said that it is done in this run: it did so before this run, as #3, which does not count',
  );
});

test('who is not done, where others are', options, async () => {
  await using m = await machine({ vcpus: 2 });
  m.vcpu(0).program(asm.flat32`${done()}`);
  m.vcpu(1).program(asm.flat32`${idle}`);
  assert.match(
    text(await failureOf(m, { until: 'done', deadline: '300ms' })),
    /^(also: )?vCPU 1 has not said that it is done/m,
  );
});

test('a vCPU that a fault has stopped in an earlier run', options, async () => {
  await using m = await machine();
  m.vcpu(0).program(asm.flat32`ud2`);
  await m.run({ until: { fault: '#UD' } });
  assert.equal(
    firstLine(await failureOf(m, { until: { port: 0x44 }, deadline: '300ms' })),
    "vCPU 0 stands in the machine's handler: it had #UD before this run, as #0",
  );
  assert.equal(firstLine(await failureOf(m, { until: { fault: '#UD' }, deadline: '300ms' })), before('#UD', 0));
  m.vcpu(0).program(asm.flat32`${idle}`);
  assert.doesNotMatch(
    text(await failureOf(m, { until: { port: 0x44 }, deadline: '300ms' })),
    /stands in the machine's/,
  );
});

test('a SIPI without an INIT starts nothing', options, async () => {
  await using m = await machine({ vcpus: 2, apic: 'xapic' });
  const ap = m.vcpu(1).program(asm.flat32`${sync('AP')}${idle}`, { start: 'sipi' });
  m.vcpu(0).program(asm.flat32`${ipi({ to: 1, deliveryMode: 'startUp', vector: ap.sipiVector })}${idle}`);
  assert.equal(
    firstLine(await failureOf(m, { until: { sync: 'AP' }, deadline: '300ms' })),
    'vCPU 1 never started: it waits for INIT and SIPI (mp_state UNINITIALIZED), and vCPU 0 sent it a SIPI, but no INIT',
  );
});

test('an NMI neither starts an AP that waits nor keeps it from starting', options, async () => {
  await using m = await machine({ vcpus: 2, apic: 'xapic' });
  const ap = m.vcpu(1).program(asm.flat32`${sync('AP')}${idle}`, { start: 'sipi' });
  m.vcpu(0).program(asm.flat32`${nmi(1)}
      out 0x44, al
      ${initSipiSipi(1, ap.sipiVector)}${idle}`);
  await m.run({ until: { port: 0x44 }, deadline: '20s' });
  assert.equal(ap.vcpu.getMpState(), mpStates.KVM_MP_STATE_UNINITIALIZED);
  await m.run({ until: { sync: 'AP' }, deadline: '20s' });
});

test('an AP that ran and that an INIT has stopped is not called one that never started', options, async () => {
  await using m = await machine({ vcpus: 2, apic: 'xapic' });
  m.vcpu(1).program(asm.flat32`${sync('runs')}${idle}`);
  m.vcpu(0).program(asm.flat32`
      ${waitUntil(m.shared, 1)}
      ${ipi({ to: 1, deliveryMode: 'init' })}${idle}`);
  await m.run({ until: { sync: 'runs' }, deadline: '20s' });
  m.memory.write(m.shared, Uint8Array.of(1));
  assert.equal(
    firstLine(await failureOf(m, { until: { sync: 'runs' }, deadline: '500ms' })),
    'vCPU 1 ran, and waits for SIPI (mp_state INIT_RECEIVED) now: vCPU 0 sent it an INIT',
  );
});

test('a logical destination that nobody has', options, async () => {
  await using m = await machine({ vcpus: 2, apic: 'xapic' });
  m.vcpu(0).program(asm.flat32`${ipi({ to: 0x80, destinationMode: 'logical', vector: 0x66 })}${idle}`);
  assert.equal(
    firstLine(await failureOf(m, { until: { port: 1 }, deadline: '300ms' })),
    'no vCPU of this machine has logical id 0x80, to which vCPU 0 sent vector 0x66',
  );
});

test('one that sleeps until its timer fires is not called one that nothing wakes', options, async () => {
  await using m = await machine({ apic: 'xapic' });
  // One shot, far away: the timer counts down from 2^32 - 1, divided by 128.
  m.vcpu(0).program(asm.flat32`
      mov dword [0xfee00320], 0x61
      mov dword [0xfee003e0], 0xa
      mov dword [0xfee00380], -1${idle}`);
  assert.equal(
    firstLine(await failureOf(m, { until: { port: 1 }, deadline: '300ms' })),
    'vCPU 0 is idle in HLT, and no interrupt waits for it; its LAPIC timer is armed, and has not fired yet',
  );
  // To sleep is to be idle, timer or not.
  await m.run({ until: 'halted', deadline: '20s' });
});

test('code in memory that the script has added is read, and not called none', options, async () => {
  await using m = await machine();
  const memory = GuestMemory.allocate(0x1000);
  m.vm.setMemory({ slot: 1, guestPhysAddr: 0xc000_0000, memory });
  memory.write(0, asm.flat32`jmp $`.bytes);
  m.vcpu(0).program(asm.flat32`
      mov ecx, 0xc0000000
      jmp ecx`);
  assert.equal(
    firstLine(await failureOf(m, { until: { port: 1 }, deadline: '300ms' })),
    'vCPU 0 spins at 0xc0000000: jmp 0xc0000000',
  );
});

test('xAPIC writes of a LAPIC in x2APIC mode reach no register', options, async () => {
  await using m = await machine({ vcpus: 2, apic: 'x2apic' });
  m.vcpu(1).program(asm.flat32`${idle}`);
  m.vcpu(0).program(asm.flat32`
      mov dword [0xfee00310], 1 << 24
      mov dword [0xfee00300], 0x4066${idle}`);
  assert.equal(
    firstLine(await failureOf(m, never)),
    "vCPU 0's LAPIC is in x2APIC mode, and its program holds 0xfee00310: a write there reaches no register",
  );
});

test('an assertion: what was there, and the trace up to it', options, async () => {
  await using m = await machine();
  m.vcpu(0).program(asm.long64`
      ${sync('before')}
      mov ebx, 5
      ${assertThat('ebx', '>', 6)}
  `);
  const error = await failureOf(m, never);
  assert.match(firstLine(error), /^vCPU 0: assertion failed at 0x\w+: ebx > 6, got 0x5$/);
  assert.match(error.report, /^trace: 2 of 2 events\n .*sync "before"\n> .*assertion failed/m);
});

test('an interrupt from the host for a LAPIC that is off', options, async () => {
  await using m = await machine();
  m.vcpu(0).program(asm.flat32`${idle}`);
  m.signalMsi({ addressLo: 0xfee0_0000, data: 0x45 });
  assert.equal(
    firstLine(await failureOf(m, { until: { port: 1 }, deadline: '200ms' })),
    "vCPU 0's LAPIC is software-disabled (SVR bit 8 is 0): vector 0x45 that the host sent was not accepted",
  );
});

test('an IPI to an APIC id that no vCPU has, one to a vCPU without a program', options, async () => {
  await using m = await machine({ vcpus: 2, apic: 'xapic' });
  m.vcpu(0).program(asm.flat32`${ipi({ to: 9, vector: 0x66 })}${idle}`);
  assert.equal(
    firstLine(await failureOf(m, { until: { port: 1 }, deadline: '200ms' })),
    'no vCPU of this machine has APIC id 9, to which vCPU 0 sent vector 0x66',
  );
  m.vcpu(0).program(asm.flat32`${ipi({ to: 1, vector: 0x66 })}${idle}`);
  assert.equal(
    firstLine(await failureOf(m, { until: { port: 1 }, deadline: '200ms' })),
    'vCPU 1 has no program, so the run leaves it out: nothing there takes vector 0x66 that vCPU 0 sent to it',
  );
});

test('a guest that is well is not blamed', options, async () => {
  await using m = await machine({ vcpus: 2, apic: 'xapic' });
  m.vcpu(0).program(asm.flat32`
      ${ipi({ to: 1, vector: 0x66 })}
      ${waitUntil(m.vcpu(1).counterAddress(0x66), 1)}
      cli
      hlt`);
  m.vcpu(1).program(asm.flat32`${idle}`);
  await m.run();
  assert.throws(
    () => m.trace.expect([{ name: 'KVM_EXIT_HYPERCALL' }]),
    (error: KvmDsmError) => {
      assert.deepEqual(partsOf(error).causes, ['expected 1 exit, got 0: KVM_EXIT_HYPERCALL is missing']);
      assert.match(error.report, /^ {2}handled 0x66 x1$/m);
      return true;
    },
  );
});

test('a KVM_RUN that fails shows each vCPU', options, async () => {
  await using m = await machine({ vcpus: 2 });
  for (const { id } of m.vcpus) m.vcpu(id).program(asm.flat32`${idle}`);
  // kvm_dirty_regs with a bit that no kernel knows: EINVAL.
  m.vcpu(1).vcpu.kvmRun.setBigUint64(296, 1n << 31n, true);
  const error = await failureOf(m, never);
  assert.equal(error.code, 'ERR_IOCTL');
  assert.equal(firstLine(error), 'KVM_RUN failed with EINVAL (errno 22)');
  assert.match(error.report, /^vCPU 0: mp_state .*^vCPU 1: mp_state /ms);
});

test('an expectation after the machine is closed: what came, and that the rest is gone', options, async () => {
  const m = await machine();
  m.vcpu(0).program(asm.flat32`${sync('a')}${idle}`);
  const trace = await m.run({ until: { sync: 'a' } });
  m.close();
  assert.throws(
    () => trace.expectNone('KVM_EXIT_IO'),
    (error: KvmDsmError) => {
      assert.match(firstLine(error), /^expected 0 exits, got 1: #0 vCPU 0 .*sync "a" is one too many$/);
      assert.match(
        error.report,
        /^trace: 1 of 1 events\n.*sync "a"\nvCPUs: the machine is closed, their state is gone$/m,
      );
      return true;
    },
  );
});

test('the parts, for a program: JSON, the same causes, each vCPU', options, async () => {
  await using m = await machine({ vcpus: 3, apic: 'x2apic' });
  m.vcpu(0).program(asm.long64`
    here:
      jmp here`);
  const error = await failureOf(m, { ...never, deadline: '200ms' });
  const parts = JSON.parse(JSON.stringify(partsOf(error)));
  assert.deepEqual(parts.causes, ['vCPU 0 spins at 0x1000 (here): jmp 0x1000']);
  assert.deepEqual(
    parts.vcpus.map(({ id, mpState }: { id: number; mpState: string }) => [id, mpState]),
    [
      [0, 'RUNNABLE'],
      [1, 'UNINITIALIZED'],
      [2, 'UNINITIALIZED'],
    ],
  );
  const [first] = parts.vcpus;
  assert.deepEqual([first.mode, first.regs.rip, first.instruction], ['long64', '0x1000', 'jmp short 0x1000']);
  assert.deepEqual([first.lapic.x2apic, first.lapic.enabled, first.lapic.irr], [true, true, []]);
});

test('many vCPUs are one screen, those that it is about in full', options, async () => {
  await using m = await machine({ vcpus: 16, apic: 'xapic' });
  for (const { id } of m.vcpus) m.vcpu(id).program(asm.flat32`${idle}`);
  m.vcpu(11).program(asm.flat32`
    there:
      jmp there`);
  const error = await failureOf(m, { ...never, deadline: '300ms' });
  assert.match(firstLine(error), /^vCPU 11 spins at /);
  assert.match(error.report, /^vCPU 11: .*\n {2}rip 0xb1000/m);
  assert.match(error.report, /^and 10 more vCPUs$/m);
  assert.ok(text(error).split('\n').length <= 50);
});

const noEmulation = noKvm || (!emulatesGuests() && 'this KVM has hardware virtualization');

test('an instruction that a KVM without hardware virtualization does not have', { skip: noEmulation }, async () => {
  await using m = await machine();
  m.vcpu(0).program(asm.flat32`int 0x30`);
  assert.match(
    firstLine(await failureOf(m, never)),
    /^vCPU 0: this host's KVM works without hardware virtualization and cannot emulate the instruction .* at 0x1000: int 0x30$/,
  );
});
