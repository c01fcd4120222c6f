/** What the lab's own kernel has besides a series: a VMM that does not know the exits runs on it, and no guest stops the machine. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { jsonLines, kvmDsm } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';
import { testFolder } from '../support/test-folder.ts';

const folder = testFolder();
const script = (name: string, text: string) => {
  const path = join(folder, name);
  writeFileSync(path, `import { asm, done, idle, ipi, machine } from 'kvm-dsm';\n${text}`);
  return path;
};

describe("the lab's own kernel", { skip: labMissing(), concurrency: 2, timeout: 600_000 }, () => {
  for (const lane of ['svm', 'vmx'])
    test(`${lane}: with kvm.dsm_go_on KVM_RUN does not return for the exits, and the interrupt comes`, () => {
      const path = script(
        'go-on.ts',
        `await using m = await machine({ vcpus: 2, apic: 'xapic' });
        m.vcpu(0).program(asm.flat32\`\${ipi({ to: 1, vector: 0x40 })}
          \${done()}\`);
        m.vcpu(1).program(asm.flat32\`\${idle()}\`);
        await m.run({ until: { handled: 0x40, vcpu: 1, count: 1 }, deadline: '60s' });`,
      );
      const { code, stdout, stderr } = kvmDsm(
        ['run', path, '--on', lane, '--cmdline', 'kvm.dsm_go_on=1', '--json'],
        300,
      );
      assert.equal(code, 0, stdout + stderr);
      const reasons = new Set(jsonLines(stdout).flatMap(({ reason }) => (reason === undefined ? [] : [reason])));
      assert.deepEqual([...reasons], [2], 'the words of the guest, by KVM_EXIT_IO, are all that came out');
    });

  test('vmx: guests that were entered with interrupts disabled wait for one another, and end at a deadline', () => {
    const path = script(
      'spin.ts',
      `await using m = await machine({ vcpus: 2 });
      const off = { interrupts: false };
      m.vcpu(0).program(asm.flat32\`again: cmp dword [\${m.shared}], 1
        jne again
        \${done()}\`, off);
      m.vcpu(1).program(asm.flat32\`mov dword [\${m.shared}], 1
        \${done()}\`, off);
      await m.run({ deadline: '60s' });
      console.log('met');
      for (const one of m.vcpus) one.program(asm.flat32\`again: jmp again\`, off);
      await m.run({ deadline: '0.2s' }).catch(({ code }) => console.log(code));`,
    );
    const { code, stdout, stderr } = kvmDsm(['run', path, '--on', 'vmx', '--quiet'], 300);
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, /^met\nERR_DEADLINE$/m);
  });
});
