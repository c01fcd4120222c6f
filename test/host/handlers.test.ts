// The machine's own handlers, in every mode that a program can be for.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  asm,
  emulatesGuests,
  GuestAssertionError,
  GuestFaultError,
  guestPorts,
  type Machine,
  machine,
} from '../../lib/index.ts';
import { noKvm } from '../support/host.ts';

const options = { skip: noKvm };
const modes = ['flat32', 'long64'] as const;

async function faultOf(m: Machine): Promise<GuestFaultError> {
  const error = await m.run({ deadline: '20s' }).then(
    () => assert.fail('it ended well'),
    (e: unknown) => e,
  );
  assert.ok(error instanceof GuestFaultError, String(error));
  assert.equal(error.code, 'ERR_GUEST_FAULT');
  return error;
}

for (const mode of modes) {
  test(`${mode}: an exception tells its vector, error code, RIP and registers`, options, async () => {
    await using m = await machine();
    const code = asm[mode]`
        mov eax, 0x1234abcd
        mov ebx, 7
      bad:
        ud2
    `;
    m.vcpu(0).program(code, { interrupts: false });
    const { fault, vector, message } = await faultOf(m);
    assert.equal(vector, 6);
    assert.equal(message, 'vCPU 0: #UD at 0x100a (bad): ud2');
    assert.equal(fault?.rip, code.at(m.vcpu(0).entry).label('bad'));
    assert.equal(fault?.errorCode, undefined);
    assert.equal(fault?.rax, 0x1234abcdn);
    assert.equal(fault?.rsp, BigInt(m.vcpu(0).entry));
    assert.equal(m.vcpu(0).vcpu.getRegs().rbx, 7n);
    assert.equal((fault?.rflags ?? 0n) & 0x200n, 0n);
  });

  test(`${mode}: an error code`, options, async () => {
    await using m = await machine();
    m.vcpu(0).program(asm[mode]`
      mov ax, 0x33
      mov ds, ax
    `);
    const { fault, message } = await faultOf(m);
    assert.equal(message, 'vCPU 0: #GP(0x30) at 0x1004: mov ds, eax');
    assert.equal(fault?.errorCode, 0x30);
    assert.equal((fault?.rflags ?? 0n) & 0x200n, 0x200n, 'IF was set');
  });

  for (const apic of ['xapic', 'x2apic'] as const)
    test(`${mode}, ${apic}: interrupts and NMIs are counted, and the program goes on`, options, async () => {
      await using m = await machine({ vcpus: 2, apic });
      const sent = new Map<number, number>();
      // Waits until its handler has run: no interrupt is merged with the one before.
      const send = (icr: number) => {
        const vector = icr === 0x4400 ? 2 : icr & 0xff;
        const count = (sent.get(vector) ?? 0) + 1;
        sent.set(vector, count);
        const write =
          apic === 'xapic'
            ? `mov dword [0xfee00310], 1 << 24
               mov dword [0xfee00300], ${icr}`
            : `mov ecx, 0x830
               mov edx, 1
               mov eax, ${icr}
               wrmsr`;
        return `
          ${write}
          $wait${vector}_${count}:
          pause
          cmp dword [${m.vcpu(1).counterAddress(vector)}], ${count}
          jne $wait${vector}_${count}`;
      };
      m.vcpu(0).program(asm[mode]`
          ${[0x4041, 0x4041, 0x4400, 0x40fe, 0x4041].map(send).join('\n')}
          mov eax, 1
          out ${guestPorts.sync}, eax
          hlt
      `);
      m.vcpu(1).program(asm[mode]`
        .idle:
          hlt
          jmp .idle
      `);
      // Its EOI is written then; the counter, which the sender waits for, comes before that.
      await m.run({ until: { handled: 0x41, vcpu: 1, count: 3 }, deadline: '20s' });
      assert.deepEqual(
        [...m.vcpu(1).interrupts],
        [
          [2, 1],
          [0x41, 3],
          [0xfe, 1],
        ],
      );
      assert.equal(m.vcpu(0).interrupts.size, 0);
      assert.deepEqual(m.vcpu(1).vcpu.lapic().isr, [], 'each got its EOI');
    });

  test(`${mode}: a relocated APIC page gets the EOI where it is`, options, async () => {
    await using m = await machine({ apic: 'xapic' });
    m.vcpu(0).program(asm[mode]`
        mov ecx, 0x1b
        rdmsr
        and eax, 0xfff
        or eax, 0xfed00000
        wrmsr
        mov dword [0xfed00300], 0x44050
      .wait:
        cmp dword [${m.vcpu(0).counterAddress(0x50)}], 1
        jne .wait
        mov eax, 1
        out ${guestPorts.sync}, eax
    `);
    await m.run({ until: { sync: 1 }, deadline: '20s' });
    assert.deepEqual(m.vcpu(0).vcpu.lapic().isr, []);
  });

  test(`${mode}: a program's own handlers`, options, async () => {
    await using m = await machine({ vcpus: 2, apic: 'xapic' });
    const code = asm[mode]`
        mov dword [0xfee00310], 1 << 24
        mov dword [0xfee00300], 0x4055
        hlt
    `;
    const other = asm[mode]`
      .idle:
        hlt
        jmp .idle
      on_ipi:
        mov eax, 0x77
        out ${guestPorts.sync}, eax
        hlt
      on_gp:
        hlt
    `;
    m.vcpu(0).program(code);
    m.vcpu(1).program(other, { handlers: { 85: 'on_ipi', '#GP': 'on_gp' } });
    const trace = await m.run({ until: { sync: 0x77, vcpu: 1 }, deadline: '20s' });
    const [event] = [...trace].filter(({ word }) => word?.kind === 'sync');
    assert.equal(event?.vcpu, 1);
    const inService = emulatesGuests() ? [] : [0x55];
    assert.deepEqual(m.vcpu(1).vcpu.lapic().isr, inService, 'that handler writes no EOI');
    assert.equal(m.vcpu(1).interrupts.size, 0);
  });

  test(`${mode}: an AP that INIT and SIPI start`, options, async () => {
    await using m = await machine({ vcpus: 2, apic: 'xapic' });
    const ap = m.vcpu(1).program(
      asm[mode]`
        mov eax, 5
        out ${guestPorts.sync}, eax
      .idle:
        hlt
        jmp .idle
      `,
      { start: 'sipi' },
    );
    assert.equal(ap.sipiVector, 0x1f);
    m.vcpu(0).program(asm.flat32`
        mov dword [0xfee00310], 1 << 24
        mov dword [0xfee00300], 0x4500
        mov dword [0xfee00300], 0x4600 + ${ap.sipiVector}
        hlt
    `);
    await m.run({ until: { sync: 5, vcpu: 1 }, deadline: '20s' });
    const { cs, efer } = ap.vcpu.getSregs();
    assert.equal(cs.l, mode === 'long64' ? 1 : 0);
    assert.equal((efer & 0x400n) !== 0n, mode === 'long64');
    assert.equal(ap.vcpu.getRegs().rflags & 0x200n, 0x200n, 'with interrupts enabled');
  });
}

test('real16: an AP at its SIPI, CS at the program and IP 0', options, async () => {
  await using m = await machine({ vcpus: 3, apic: 'xapic' });
  const ap = m.vcpu(2).program(
    asm.real16`
      start:
        mov ax, cs
        out 0x30, ax
        mov al, [cs:data]
        out 0x31, al
        cli
        hlt
      data: db 0x5a
    `,
    { start: 'sipi' },
  );
  m.vcpu(0).program(asm.flat32`
      mov dword [0xfee00310], 2 << 24
      mov dword [0xfee00300], 0x4500
      mov dword [0xfee00300], 0x4600 + ${ap.sipiVector}
      hlt
  `);
  const trace = await m.run({ until: { port: 0x31 }, deadline: '20s' });
  const data = trace.named('KVM_EXIT_IO').map(({ exit }) => Buffer.from(exit.data).toString('hex'));
  assert.deepEqual(data, ['0021', '5a']);
});

test('real16: every vector is a fault', {
  skip: noKvm || (emulatesGuests() && "this host's KVM cannot inject into real mode"),
}, async () => {
  await using m = await machine();
  m.vcpu(0).program(asm.real16`
    nop
    ud2
  `);
  const { fault, vector } = await faultOf(m);
  assert.equal(vector, 6);
  assert.equal(fault?.rip, 0x1001n);
});

test('a fault that the run waits for is no failure', options, async () => {
  await using m = await machine();
  m.vcpu(0).program(asm.flat32`ud2`);
  const trace = await m.run({ until: { fault: '#UD' } });
  assert.equal([...trace].at(-1)?.fault?.vector, 6);
  await assert.rejects(m.run({ until: { fault: '#XY' } }), { code: 'ERR_ARGUMENT' });
});

test('an assertion of the guest, also of one whose run another vCPU has ended', options, async () => {
  await using m = await machine();
  m.vcpu(0).program(asm.flat32`
    mov ecx, 3
    mov eax, 9
    out ${guestPorts.assert}, eax
  `);
  await assert.rejects(m.run(), (error) => {
    assert.ok(error instanceof GuestAssertionError);
    assert.equal(error.code, 'ERR_GUEST_ASSERTION');
    assert.equal(error.actual, 3);
    return true;
  });
});

test('what cannot start by SIPI, or lies too high', options, async () => {
  await using m = await machine({ vcpus: 17 });
  assert.throws(() => m.vcpu(0).program(asm.flat32`hlt`, { start: 'sipi' }), /boot CPU/);
  assert.throws(() => m.vcpu(16).program(asm.flat32`hlt`, { start: 'sipi' }), /above 1 MiB/);
  assert.throws(() => m.vcpu(16).program(asm.real16`hlt`), /above 1 MiB/);
  assert.throws(() => m.vcpu(1).sipiVector, /no program that starts by SIPI/);
  await using n = await machine({ vcpus: 2, irqchip: 'none' });
  assert.throws(() => n.vcpu(1).program(asm.flat32`hlt`, { start: 'sipi' }), /no in-kernel local APIC/);
  assert.throws(() => m.vcpu(1).program(asm.flat32`hlt`, { handlers: { 65: 'nowhere' } }), /no label 'nowhere'/);
  assert.throws(() => m.vcpu(1).program(asm.flat32`hlt`, { handlers: { 256: 0 } }), { code: 'ERR_ARGUMENT' });
});
