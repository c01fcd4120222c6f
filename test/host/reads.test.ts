import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asm, done, type Machine, machine, sync, tell } from '../../lib/index.ts';
import { errorOf, noKvm } from '../support/host.ts';

const NOBODY = 0xd800_0000;
const skip = { skip: noKvm };

/** What the guest told, by name. */
function told({ trace }: Machine): Record<string, number | string> {
  return Object.fromEntries(
    [...trace].flatMap(({ word }) => (word?.kind === 'value' ? [[word.name, word.value]] : [])),
  );
}

const reads = asm.flat32`
    mov dword [0xd0000000], 0xdeadbeef
    mov ebx, [${NOBODY}]
    ${tell('mmio', 'ebx')}
    mov eax, 0x5a5a5a5a
    out 0x80, eax
    xor eax, eax
    in al, 0x81
    mov ebx, eax
    ${tell('port', 'ebx')}
    ${done()}`;

test('a read that nobody answers gives the guest all ones, on this thread and on its own', skip, async () => {
  for (const vcpus of [1, 2]) {
    await using m = await machine({ vcpus });
    for (const vcpu of m.vcpus) vcpu.program(vcpu.id === 0 ? reads : asm.flat32`${done()}`);
    await m.run({ until: 'done' });
    assert.deepEqual(told(m), { mmio: 0xffff_ffff, port: 0xff }, `${vcpus} vCPUs`);
    const [read] = [...m.trace].filter(({ exit }) => exit.name === 'KVM_EXIT_MMIO' && !exit.isWrite);
    assert.deepEqual(read?.exit.name === 'KVM_EXIT_MMIO' && [...read.exit.data], [0xff, 0xff, 0xff, 0xff]);
  }
});

test('a read between recorded exits is all ones as well', skip, async () => {
  await using m = await machine();
  const { vcpu } = m.vcpu(0).program(reads);
  const values: number[] = [];
  const run = vcpu.start({
    onExit(exit, run) {
      if (exit.name === 'KVM_EXIT_IO' && exit.direction === 'in') run.askToStop();
    },
    record: {
      exits: ['KVM_EXIT_IO', 'KVM_EXIT_MMIO'],
      onRecords: (records) => {
        for (const { exit } of records)
          if (exit.name === 'KVM_EXIT_IO' && exit.size === 4)
            values.push(new DataView(exit.data.buffer).getUint32(0, true));
      },
    },
  });
  await run.ended({ deadline: '10s' });
  assert.ok(
    values.includes(0xffff_ffff),
    `what the guest wrote to its ports: ${values.map((one) => one.toString(16))}`,
  );
  assert.ok(vcpu.settle() === false);
  assert.equal(vcpu.getRegs().rax & 0xffn, 0xffn, 'and the `in` that was held');
});

test('rep insb without an answer gives every byte', skip, async () => {
  await using m = await machine();
  m.vcpu(0).program(asm.flat32`
    mov dx, 0x80
    mov al, 0x11
    out dx, al
    mov edi, ${m.shared}
    mov ecx, 3
    cld
    rep insb
    ${done()}`);
  await m.run({ until: 'done' });
  assert.deepEqual([...m.memory.read(m.shared, 4)], [0xff, 0xff, 0xff, 0]);
});

test('onPortRead and onMmioRead: a value, bytes, or a function of the exit', skip, async () => {
  await using m = await machine();
  let times = 0;
  m.onPortRead(0x3fd, 0x20)
    .onPortRead(0x60, ({ size, vcpu }) => size + vcpu + ++times)
    .onMmioRead({ at: NOBODY, size: 0x1000 }, 1)
    .onMmioRead({ at: NOBODY + 8 }, ({ physAddr, len }) =>
      Uint8Array.of(...new Array(len - 1).fill(0), Number(physAddr & 0xffn)),
    )
    .onMmioRead({ at: NOBODY + 0x100 }, () => undefined);
  m.vcpu(0).program(asm.flat32`
    mov dx, 0x3fd
    xor eax, eax
    in al, dx
    mov ebx, eax
    ${tell('status', 'ebx')}
    in al, 0x60
    in ax, 0x60
    movzx ebx, ax
    ${tell('second', 'ebx')}
    mov ebx, [${NOBODY + 0x20}]
    ${tell('value', 'ebx')}
    mov ebx, [${NOBODY + 8}]
    ${tell('bytes', 'ebx')}
    mov ebx, [${NOBODY + 0x100}]
    ${tell('left', 'ebx')}
    ${done()}`);
  await m.run({ until: 'done' });
  assert.deepEqual(told(m), { status: 0x20, second: 4, value: 1, bytes: 0x0800_0000, left: 0xffff_ffff });
});

test('until answers after them, by completeRead or in kvm_run itself', skip, async () => {
  await using m = await machine();
  const { vcpu } = m.vcpu(0);
  m.onPortRead(0x81, 1);
  m.vcpu(0).program(reads);
  const isDone = ({ word }: { word?: { kind: string } }) => word?.kind === 'done';
  await m.run({
    until: (event) => {
      const { exit } = event;
      if (exit.name === 'KVM_EXIT_MMIO' && !exit.isWrite) vcpu.completeRead(0x1234_5678);
      if (exit.name === 'KVM_EXIT_IO' && exit.direction === 'in') vcpu.kvmRun.setUint8(Number(exit.dataOffset), 0x42);
      return isDone(event);
    },
  });
  assert.deepEqual(told(m), { mmio: 0x1234_5678, port: 0x42 });
});

test('an answer is refused that does not fit, and where no read waits', skip, async () => {
  await using m = await machine();
  const { vcpu } = m.vcpu(0).program(asm.flat32`
    ${sync('no read')}
    in ax, 0x60
    mov edi, ${m.shared}
    mov ecx, 2
    mov dx, 0x61
    rep insw
    ${done()}`);
  await m.run({ until: { sync: 'no read' } });
  assert.equal(errorOf(() => vcpu.completeRead(1)).code, 'ERR_EXIT_MISMATCH');
  await m.run({ until: { port: 0x60 } });
  for (const bad of [
    0x1_0000,
    -1,
    1.5,
    2n ** 64n,
    new Uint8Array(1),
    new Uint8Array(3),
    'x' as never,
    undefined as never,
  ])
    assert.equal(errorOf(() => vcpu.completeRead(bad)).code, 'ERR_ARGUMENT', String(bad));
  vcpu.completeRead(0xffff);
  vcpu.completeRead(0x8001n);
  await m.run({ until: { port: 0x61 } });
  assert.equal(vcpu.getRegs().rax & 0xffffn, 0x8001n);
  vcpu.completeRead(0x1234);
  const exit = vcpu.exit();
  if (exit.name !== 'KVM_EXIT_IO') assert.fail(exit.name);
  assert.deepEqual([exit.size, exit.data.length], [2, 2 * exit.count]);
  assert.deepEqual([...exit.data.subarray(0, 2)], [0x34, 0x12], 'each access gets it');
  for (const bad of [null, 'x', {}]) assert.equal(errorOf(() => m.onPortRead(1, bad as never)).code, 'ERR_ARGUMENT');
  assert.equal(errorOf(() => m.onPortRead(0x1_0000, 1)).code, 'ERR_ARGUMENT');
  for (const bad of [{ at: -1 }, {}, { at: 0, length: 4 }, { at: 0, size: 0 }])
    assert.equal(errorOf(() => m.onMmioRead(bad as never, 1)).code, 'ERR_ARGUMENT');
});

test('a wrong answer ends the run with an error that names the hook and what was meant', skip, async () => {
  const later = async () => 1;
  const wrong: readonly [unknown, RegExp][] = [
    [later, /what onPortRead answers for port 0x81: answer is a promise/],
    [() => 0x100, /port 0x81: answer 0x100 does not fit into a read of 1 byte/],
    [() => -1, /port 0x81: answer/],
    [() => 'A', /port 0x81: answer is "A"/],
    [() => null, /port 0x81: answer is null/],
    [() => new Uint8Array(2), /port 0x81: answer/],
  ];
  for (const [answer, message] of wrong) {
    await using m = await machine();
    m.vcpu(0).program(reads);
    m.onPortRead(0x81, answer as () => number);
    await assert.rejects(m.run({ until: 'done' }), { code: 'ERR_ARGUMENT', message });
  }
  await using m = await machine();
  m.vcpu(0).program(reads);
  m.onMmioRead({ at: NOBODY }, () => 2 ** 32);
  await assert.rejects(m.run({ until: 'done' }), {
    code: 'ERR_ARGUMENT',
    message: /what onMmioRead answers for 0xd8000000: answer 0x100000000 does not fit into a read of 4 bytes/,
  });
  const range = { at: NOBODY, length: 4 } as unknown as { at: number };
  assert.match(errorOf(() => m.onMmioRead(range, 0)).message, /length/);
});
