// INIT and SIPI to each vCPU of a machine in which nothing else has happened yet.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asm, idle, initSipiSipi, machine, sync } from '../../lib/index.ts';
import { noKvm } from '../support/host.ts';

const options = { skip: noKvm };

for (const irqchip of ['full', 'split'] as const)
  for (const ap of [1, 2])
    test(
      `${irqchip} irqchip: vCPU ${ap} of 3 takes INIT and SIPI, though no guest has written SVR`,
      options,
      async () => {
        await using m = await machine({ vcpus: 3, irqchip });
        const started = m.vcpu(ap).program(
          asm.flat32`
          ${sync('started')}
          ${idle()}`,
          { start: 'sipi' },
        );
        m.vcpu(0).program(asm.flat32`
          ${initSipiSipi(ap, started.sipiVector)}
          ${idle()}`);
        const trace = await m.run({ until: { sync: 'started', vcpu: ap }, deadline: '10s' });
        trace.expectCount({ sync: 'started', vcpu: ap }, 1);
        assert.ok(
          m.vcpus.every(({ vcpu }) => !vcpu.lapic().softwareEnabled),
          'the local APICs are as after reset',
        );
      },
    );
