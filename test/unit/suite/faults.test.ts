import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { kernelInputsDir } from '../../../lib/lab/paths.ts';
import { faults } from '../../../lib/suite/faults/table.ts';

const source = readFileSync(join(kernelInputsDir, 'rfc-v2/arch/x86/kvm/dsm_fault.c'), 'utf8');

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
