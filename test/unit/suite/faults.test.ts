import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { kernelInputs } from '../../../lib/lab/kernel/inputs.ts';
import { filesOf, seriesNames } from '../../../lib/lab/kernel/own-series.ts';
import { faults } from '../../../lib/suite/faults/table.ts';

const source = readFileSync(join(kernelInputs(), 'fault/arch/x86/kvm/dsm_fault.c'), 'utf8');

test("the faults are those of the kernel's table, with its numbers", () => {
  const order = [...(/^enum \{\n([^}]*)\};/m.exec(source)?.[1] ?? '').matchAll(/^\t(FAULT_\w+),$/gm)].map(
    ([, id]) => id,
  );
  const names = new Map([...source.matchAll(/^\t\[(FAULT_\w+)\]\s*= "([^"]*)",$/gm)].map(([, id, name]) => [id, name]));
  assert.equal(names.size, order.length, 'each number has a name');
  const table = order.map((id, number) => ({ name: names.get(id), number }));
  assert.deepEqual([{ name: 'none', number: 0 }, ...faults.map(({ name, number }) => ({ name, number }))], table);
});

test('each fault is what some code does, not a name alone', () => {
  for (const [, id] of source.matchAll(/^\t\[(FAULT_\w+)\]/gm))
    if (id !== 'FAULT_NONE') assert.match(source, new RegExp(`(case|==|!=) ${id}\\b`), id);
});

test('at least 24, each said in its own words on one line', () => {
  assert.ok(faults.length >= 24);
  assert.equal(new Set(faults.map(({ what }) => what)).size, faults.length);
  for (const { what } of faults) assert.match(what, /^[^\n]+[^.\n]$/);
});

test('each series of the lab answers what the faults ask of one', () => {
  const folder = join(kernelInputs(), 'fault/arch/x86/kvm');
  const own = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'));
  const called = new Set(
    own.flatMap((text) => [...text.matchAll(/\b(kvm_dsm_fault_\w+)\(/g)].map(([, name]) => name!)),
  );
  const defines = (text: string, name: string) =>
    new RegExp(`^(static inline )?(\\w|[ *])*\\b${name}\\(`, 'm').test(text);
  const asked = [...called].filter((name) => !own.some((text) => defines(text, name)));
  assert.ok(asked.length >= 8, asked.join(' '));
  for (const series of seriesNames) {
    const answers = filesOf(kernelInputs(), series)
      .map((dir) => join(dir, 'arch/x86/kvm/dsm_fault_series.h'))
      .filter((path) => existsSync(path));
    assert.equal(answers.length, 1, series);
    const text = readFileSync(answers[0]!, 'utf8');
    for (const name of asked) assert.ok(defines(text, name), `${series}: ${name}`);
  }
});
