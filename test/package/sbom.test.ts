import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../support/command.ts';

test('the bill of materials has what an installed package has, with licences and hashes, and nothing of the build', () => {
  const { status, stdout, stderr } = spawnSync('npm', ['run', '--silent', 'sbom'], {
    cwd: root,
    encoding: 'utf8',
    timeout: 120_000,
  });
  assert.equal(status, 0, stderr);
  const bill = JSON.parse(stdout) as {
    bomFormat: string;
    components: { 'bom-ref': string; name: string; version: string; licenses?: unknown[] }[];
    dependencies: { ref: string; dependsOn: string[] }[];
  };
  const { dependencies, devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
    devDependencies: Record<string, string>;
  };
  const names = bill.components.map(({ name }) => name);
  assert.equal(bill.bomFormat, 'CycloneDX');
  assert.deepEqual(
    Object.keys(dependencies).filter((name) => !names.includes(name)),
    [],
  );
  assert.deepEqual(
    Object.keys(devDependencies).filter((name) => names.includes(name)),
    [],
  );
  assert.deepEqual(
    bill.components.filter(({ licenses }) => licenses === undefined).map(({ name }) => name),
    [],
  );
  const known = new Set(bill.components.map((component) => component['bom-ref']));
  const unknown = bill.dependencies.flatMap(({ dependsOn }) => dependsOn).filter((ref) => !known.has(ref));
  assert.deepEqual(unknown, []);
});
