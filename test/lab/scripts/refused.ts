// What the ioctls of the corrected series refuse, and what its paravirtual exits are worth to expectExactlyOnce.
import assert from 'node:assert/strict';
import { asm, flat32, idle, machine, spin, sync } from 'kvm-dsm';

const ICR2 = 0x310;

function refusal(action: () => unknown): { code: string; message: string; advice: string } {
  try {
    action();
  } catch (error) {
    return error as { code: string; message: string; advice: string };
  }
  throw new Error('nothing was refused');
}
const code = (action: () => unknown) => refusal(action).code;

{
  await using m = await machine({ vcpus: 2, apic: 'xapic' });
  const write = { vcpuId: 0, val: ICR2, val2: 0 };
  for (const call of [
    () => m.vm.dsmIpi({ ...write, vcpuId: 9 }),
    () => m.vm.dsmX2apic({ vcpuId: 9, data: 0 }),
    () => m.vm.dsmApicBase({ vcpuId: 9, data: 0xfee0_0900 }),
  ]) {
    assert.equal(code(call), 'ERR_NO_VCPU');
    assert.match(refusal(call).advice, /0, 1/);
  }
  // No register that sends, a mode without the register, a reserved bit, a base that no guest can write.
  for (const call of [
    () => m.vm.dsmIpi({ ...write, val: 0x80 }),
    () => m.vm.dsmX2apic({ vcpuId: 0, data: 0x41 }),
    () => m.vm.dsmApicBase({ vcpuId: 0, data: 0xfee0_0901 }),
  ]) {
    assert.equal(code(call), 'ERR_REPLAY_REFUSED');
    assert.match(refusal(call).message, /was refused by the kernel/);
  }
  // Until its thread has come to KVM_RUN the kernel takes the write.
  m.vcpu(1).program(flat32(spin));
  const thread = m.vcpu(1).vcpu.start();
  let busy = '';
  while (busy === '') {
    await new Promise((done) => setImmediate(done));
    try {
      m.vm.dsmIpi({ ...write, vcpuId: 1 });
    } catch (error) {
      busy = (error as { code: string }).code;
    }
  }
  assert.equal(busy, 'ERR_VCPU_BUSY');
  await thread.stop();
}
{
  await using m = await machine({ irqchip: 'none' });
  assert.equal(
    code(() => m.vm.dsmIpi({ vcpuId: 0, val: ICR2, val2: 0 })),
    'ERR_NO_LAPIC',
  );
}
{
  await using m = await machine({ apic: 'xapic', optIn: [] });
  const { code: refused, advice } = refusal(() => m.vm.dsmIpi({ vcpuId: 0, val: ICR2, val2: 0 }));
  assert.equal(refused, 'ERR_REPLAY_REFUSED');
  assert.match(advice, /opt-in/);
}

{
  await using m = await machine({ vcpus: 3, apic: 'xapic' });
  for (const id of [1, 2])
    m.vcpu(id).program(asm.flat32`${sync('ready')}
    ${idle()}`);
  // KVM_HC_SEND_IPI: a bitmap of APIC ids counted from 1, and what an ICR would be.
  m.vcpu(0).program(asm.flat32`mov eax, 10
    mov ebx, 3
    mov ecx, 0
    mov edx, 1
    mov esi, 0x45
    vmmcall
    ${idle()}`);
  await m.run();
  assert.deepEqual(
    m.trace.named('KVM_EXIT_DSM_PV_IPI').map(({ exit }) => [exit.target, exit.base, exit.mask]),
    [['apicIds', 1, [3n, 0n]]],
  );
  assert.deepEqual(
    [1, 2].map((id) => m.vcpu(id).interrupts.get(0x45)),
    [1, 1],
  );
  m.expectExactlyOnce();
}
