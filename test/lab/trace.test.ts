/** `run --trace` of a machine of the lab: the file is written outside, and tells what was lost as the run itself does. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { Ajv } from 'ajv';
import { jsonLines, kvmDsm, root } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';
import { lanes } from '../support/lanes.ts';

const folder = mkdtempSync(join(tmpdir(), 'lab-trace-'));
after(() => rmSync(folder, { recursive: true }));

const validate = new Ajv({ allowUnionTypes: true }).compile(
  JSON.parse(readFileSync(join(root, 'docs', 'trace.schema.json'), 'utf8')),
);

test('svm: an IPI that the kernel loses', { skip: labMissing() }, () => {
  const file = join(folder, 'trace');
  const lost = ['--cmdline', 'kvm.dsm_fault=skip-local'];
  const { code, stdout, stderr } = kvmDsm(['run', 'examples/handled.ts', '--on', 'svm', '--trace', file, ...lost], 300);
  assert.equal(code, 1, stdout + stderr);
  const lines = jsonLines(readFileSync(file, 'utf8'));
  for (const line of lines) assert.ok(validate(line), JSON.stringify([line, validate.errors]));
  assert.equal(lines[0]!.on, 'svm');
  assert.deepEqual(lines.at(-1), { type: 'end', ok: false, exitCode: 1 });
  const diagram = kvmDsm(['trace', file, '--to', 'diagram']).stdout;
  assert.match(diagram, /^#1 {2}\| fixed 0xf0 to id 1 -+>X LOST$/m);
  assert.ok(stdout.includes(diagram.trimEnd()), `the run ends with it:\n${stdout}\n${diagram}`);
  const events = kvmDsm(['trace', file])
    .stdout.split('\n')
    .filter((line) => line.startsWith('#'));
  assert.deepEqual(
    events,
    stdout
      .split('\n')
      .filter((line) => line.startsWith('#') && line.includes(' rip '))
      .filter((line) => !line.includes(' | ')),
  );
});

test('svm: an interrupt between nodes is a line, from the write to the handler', { skip: labMissing() }, () => {
  const file = join(folder, 'nodes');
  const { code, stdout, stderr } = kvmDsm(['run', 'examples/nodes.ts', '--on', 'svm', '--trace', file], 300);
  assert.equal(code, 0, stdout + stderr);
  const lines = jsonLines(readFileSync(file, 'utf8'));
  for (const line of lines) assert.ok(validate(line), JSON.stringify([line, validate.errors]));
  const words = (text: string) => text.split('\n').filter((line) => line.startsWith('vCPU 0 of node 0: '));
  assert.deepEqual(
    words(stdout).map((line) => line.replaceAll(/after \d+ us/g, 'after N us')),
    [
      'vector 0x41 for APIC id 2, with the transport after N us; node 1 replayed it after N us, vCPU 2 handled it after N us',
      'NMI for APIC id 3, with the transport after N us; node 1 replayed it after N us, vCPU 3 handled it after N us',
      'vector 0x42 for all excluding self, with the transport after N us; node 1 replayed it after N us, ' +
        'vCPU 2 handled it after N us, vCPU 3 handled it after N us',
    ].map((line) => `vCPU 0 of node 0: ${line}`),
  );
  assert.match(stdout, /^3 interrupts between nodes; replayed after \d+ us \(median\), /m);
  assert.deepEqual(words(kvmDsm(['trace', file]).stdout), words(stdout));
});

test('svm: of a suite, each check that fails', { skip: labMissing() }, () => {
  const traces = join(folder, 'of', 'checks');
  const args = ['test', 'payload.icr.shorthand', 'payload.icr.vector', '--on', 'svm', '--quiet', '--trace', traces];
  const wanted = ['--kernel-events', 'kvm_apic*,kvm_entry,kvm_userspace_exit'];
  const { code, stdout, stderr } = kvmDsm([...args, ...wanted, '--cmdline', 'kvm.dsm_fault=no-shorthand'], 300);
  assert.equal(code, 1, stderr);
  assert.match(stdout, /^again: kvm-dsm test \S+ --on svm --seed \d+ --cmdline kvm\.dsm_fault=no-shorthand$/m);
  const told = [...stdout.matchAll(/^ *trace: (.*)$/gm)].map(([, file]) => file!);
  const ids = ['all', 'others', 'self'].map((shorthand) => `payload.icr.shorthand.${shorthand}.ndjson`);
  assert.deepEqual(readdirSync(traces).sort(), ids);
  assert.deepEqual(
    told.sort(),
    ids.map((name) => join(traces, name)),
  );
  for (const file of told) {
    const lines = jsonLines(readFileSync(file, 'utf8'));
    for (const line of lines) assert.ok(validate(line), JSON.stringify([line, validate.errors]));
    assert.match(kvmDsm(['trace', file, '--to', 'diagram']).stdout, /vCPU 0[\s\S]*\| ICR2 = 0x[\s\S]*\| out 0x10/);
    // Its own, not those of the checks before it.
    const kernel = lines.filter(({ type }) => type === 'kernel');
    assert.ok(
      kernel.some(({ event, vcpu }) => event === 'kvm_apic' && vcpu === 0),
      JSON.stringify(kernel.slice(0, 9)),
    );
    const born = BigInt(lines.find(({ type }) => type === 'machine')!.born as string);
    assert.ok(kernel.every(({ at }) => BigInt(at as string) > born - 1_000_000_000n));
  }
});

for (const lane of lanes)
  describe(`${lane}: the kernel's own events`, { skip: labMissing() }, () => {
    const file = join(folder, 'kernel-events');
    const run = () => {
      const wanted = ['--kernel-events', 'interrupts,p:accepts __apic_accept_irq', '--quiet'];
      const { code, stdout, stderr } = kvmDsm(
        ['run', 'examples/handled.ts', '--on', lane, '--trace', file, ...wanted],
        300,
      );
      assert.equal(code, 0, stdout + stderr);
      return jsonLines(readFileSync(file, 'utf8'));
    };

    test('that an APIC accepted an IPI stands, on the clock of the exits, between the write and the handler', () => {
      const lines = run();
      for (const line of lines) assert.ok(validate(line), JSON.stringify([line, validate.errors]));
      const born = BigInt(lines.find(({ type }) => type === 'machine')!.born as string);
      /** The time of the first line that is so: the file has them in order as far as they came in time. */
      const first = (is: (line: Record<string, unknown>) => boolean) => {
        const place = lines.findIndex((line) => is(line));
        assert.ok(place >= 0, String(is));
        const { at, ns } = lines[place]!;
        return { at: at === undefined ? born + BigInt(ns as number) : BigInt(at as string) };
      };
      const kernel = (event: string, fields: object) =>
        first((line) => {
          const has = line.fields as Record<string, unknown>;
          return line.event === event && Object.entries(fields).every(([name, value]) => has[name] === value);
        });
      const steps = [
        first(({ type, register }) => type === 'exit' && register === 'ICR2'),
        kernel('kvm_exit', { guest_rip: '0x100a', vcpu_id: 0 }),
        kernel('kvm_apic', { rw: 1, reg: 0x300, val: '0x40f0' }),
        kernel('kvm_apic_accept_irq', { apicid: 1, vec: 0xf0 }),
        kernel('kvm_inj_virq', { vector: 0xf0 }),
        first(({ word }) => (word as { kind?: string } | undefined)?.kind === 'handled'),
      ];
      for (const [index, step] of steps.slice(1).entries()) {
        assert.ok(steps[index]!.at < step.at, `${index}: ${steps.map(({ at }) => at).join(', ')}`);
      }
      const written = first(({ type, register }) => type === 'exit' && register === 'ICR');
      assert.ok(steps[3]!.at < written.at, 'the kernel has taken it when it tells of the write');
      const of = (event: string) => lines.filter((line) => line.event === event);
      assert.ok(
        of('kvm_apic_accept_irq').every(({ machine, vcpu }) => machine === 1 && vcpu === 0),
        'the sender',
      );
      assert.ok(of('kvm_inj_virq').every(({ machine, vcpu }) => machine === 1 && vcpu === 1));
      assert.ok(of('accepts').length > 0, 'a probe');
      assert.ok(!JSON.stringify(of('accepts')).includes('__probe_ip'), "no address of the kernel's");
      assert.equal(
        lines.find(({ type }) => type === 'kernel-lost'),
        undefined,
      );
      const text = kvmDsm(['trace', file]).stdout;
      assert.match(text, /^ {2}kernel vCPU 0 {2}kvm_apic_accept_irq apicid=1 .*vec=0xf0$/m);
      const reason =
        lane === 'vmx'
          ? /exit_reason=0x30\(EPT_VIOLATION\) guest_rip=0x100a/
          : /exit_reason=0x400\(npf\) guest_rip=0x100a/;
      assert.match(text, reason, 'what the kernel calls it');
    });

    test('those that came faster than anybody could read them are told as lost, and how many', () => {
      const exits = 20_000;
      const script = join(folder, 'overrun.ts');
      writeFileSync(
        script,
        `import { asm, machine } from 'kvm-dsm';
       await using m = await machine();
       const { vcpu } = m.vcpu(0).program(asm.flat32('again: out 0x10, al\\njmp again'));
       // The process does nothing else meanwhile.
       for (let exit = 0; exit < ${exits}; exit++) vcpu.runRaw();
       await m.run({ until: { exits: 1 } });`,
      );
      // So wide that the buffers of the two CPUs that a process has cannot hold them: half a kilobyte each.
      const wide = Array.from({ length: 60 }, (_, place) => `a${place}=%ax:u64`).join(' ');
      const args = [
        'run',
        script,
        '--on',
        lane,
        '--trace',
        file,
        '--kernel-events',
        `p:wide kvm_fast_pio ${wide}`,
        '--timeout',
        '200',
      ];
      const { code, stdout, stderr } = kvmDsm(args, 300);
      assert.equal(code, 0, stdout + stderr);
      const lines = jsonLines(readFileSync(file, 'utf8'));
      for (const line of lines) assert.ok(validate(line), JSON.stringify([line, validate.errors]));
      const lost = lines.filter(({ type }) => type === 'kernel-lost').reduce((sum, line) => sum + Number(line.lost), 0);
      const kept = lines.filter(({ type }) => type === 'kernel').length;
      assert.ok(lost > 0 && kept > 0, `${lost} lost, ${kept} kept`);
      assert.equal(lost + kept, exits + 1, `${lost} lost and ${kept} kept`);
      assert.match(kvmDsm(['trace', file]).stdout, /^ {2}kernel .*\blost\b/m);
    });

    test('an event that it has not is an error which names it', () => {
      const args = ['run', 'examples/handled.ts', '--on', lane, '--trace', file, '--kernel-events', 'kvm_nothing'];
      const { code, stdout, stderr } = kvmDsm(args, 300);
      assert.equal(code, 1, stdout + stderr);
      assert.match(stdout, /--kernel-events kvm_nothing: this kernel has no such event/);
    });
  });
