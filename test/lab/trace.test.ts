/** `run --trace` of a machine of the lab: the file is written outside, and tells what was lost as the run itself does. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Ajv } from 'ajv';
import { jsonLines, kvmDsm, root } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';

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

test('svm: of a suite, each check that fails', { skip: labMissing() }, () => {
  const traces = join(folder, 'of', 'checks');
  const args = ['test', 'payload.icr.shorthand', 'payload.icr.vector', '--on', 'svm', '--quiet', '--trace', traces];
  const { code, stdout, stderr } = kvmDsm([...args, '--cmdline', 'kvm.dsm_fault=no-shorthand'], 300);
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
  }
});
