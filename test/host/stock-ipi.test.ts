import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeLapic, flat32, machine, out8, write32, writeLapicRegister } from '../../lib/index.ts';
import { noStockKvm } from '../support/host.ts';

const ICR = 0xfee0_0300;
const ICR2 = 0xfee0_0310;

for (const irqchip of ['full', 'split'] as const) {
  test(`a stock kernel with a ${irqchip} irqchip delivers the IPI and forwards nothing`, {
    skip: noStockKvm,
  }, async () => {
    await using m = await machine({ vcpus: 2, irqchip });
    const target = m.vcpu(1).vcpu;
    const page = target.getLapic();
    writeLapicRegister(page, 'SVR', 0x1ff);
    target.setLapic(page);

    m.vcpu(0).program(flat32(write32(ICR2, 0x0100_0000), write32(ICR, 0x0000_40f0), out8(0x10)));
    const trace = await m.run({ until: { port: 0x10 } });

    assert.deepEqual(
      [...trace].map(({ exit }) => exit.name),
      ['KVM_EXIT_IO'],
    );
    trace.expectNone('KVM_EXIT_DSM_SEND_IRQ');
    assert.deepEqual(decodeLapic(target.getLapic()).irr, [0xf0]);
    assert.deepEqual(decodeLapic(m.vcpu(0).vcpu.getLapic()).irr, []);
  });
}

test('without an in-kernel LAPIC the write is an MMIO exit', { skip: noStockKvm }, async () => {
  await using m = await machine({ irqchip: 'none' });
  m.vcpu(0).program(flat32(write32(ICR, 0x0000_40f0), out8(0x10)));
  const trace = await m.run({ until: { port: 0x10 } });
  trace.expect([{ name: 'KVM_EXIT_MMIO', physAddr: 0xfee0_0300n, len: 4, isWrite: true }]);
});
