/** A forwarded interrupt that is pending when a vCPU's thread is stopped. Needs a kernel with the series. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asm, machine, type VcpuRun } from '../../../lib/index.ts';
import { noForwardingKvm } from '../../support/host.ts';

const VECTOR = 0x4f;
/** Offset of mmio.data in struct kvm_run. Source: include/uapi/linux/kvm.h. */
const MMIO_DATA = 40;

test('a stop between an ICR write and its exit waits for the exit', { skip: noForwardingKvm }, async () => {
  for (let i = 0; i < 10; i++) {
    await using m = await machine({ vcpus: 2 });
    // No memory is at DEVICE: one instruction reads from user space and writes the ICR.
    m.vcpu(0).program(asm.flat32`
        mov dword [0xfee00310], 0x01000000
        mov esi, 0xd0000000
        mov edi, 0xfee00300
        movsd
      again: jmp again`);
    const { vcpu } = m.vcpu(0);
    const exits: string[] = [];
    const paused = new Promise<VcpuRun>((resolve, reject) => {
      const run = vcpu.start({
        onExit(exit) {
          exits.push(exit.name === 'KVM_EXIT_DSM_SEND_IRQ' ? String(exit.register) : exit.name);
          if (exit.name !== 'KVM_EXIT_MMIO') return;
          vcpu.kvmRun.setUint32(MMIO_DATA, 0x4000 | VECTOR, true);
          run.pause().then(() => resolve(run), reject);
        },
      });
      run.ended().catch(reject);
    });
    const run = await paused;
    // KVM finishes the instruction, and the vCPU comes out again before its next one.
    run.resume();
    await run.pause();
    await run.stop();
    assert.deepEqual(exits, ['ICR2', 'KVM_EXIT_MMIO', 'ICR']);
  }
});
