/** How a run of several vCPUs ends, seen from inside. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asm, machine } from '../../lib/index.ts';
import { runTogether } from '../../lib/script/together.ts';
import { noKvm } from '../support/host.ts';

const FLAG = 0x800;

test('an exit that ends a run while it looks where its vCPUs are is what ends it', { skip: noKvm }, async () => {
  const broken = new Error('broken');
  for (let i = 0; i < 150; i++) {
    await using m = await machine({ vcpus: 2 });
    // Both exit at about the time when they are taken out again.
    for (const vcpu of m.vcpus)
      vcpu.program(asm.flat32`
        before: cmp dword [${FLAG}], 1
          jne before
          mov ecx, ${i}
        again: dec ecx
          jns again
          out 1, al
          hlt`);
    const run = runTogether(
      m.vcpus.map(({ vcpu }) => vcpu),
      {
        profile: m.profile,
        idle: [],
        limit: 1,
        exit() {
          throw broken;
        },
        lateExit() {},
        look(vcpu) {
          vcpu.getRegs();
          // Lets both go on.
          m.memory.write(FLAG, Uint8Array.of(1));
        },
      },
    );
    await assert.rejects(run, broken);
  }
});
