// What `kvm-dsm check` makes of a script's project, and of the compiler's words.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readDiagnostics } from '../../../lib/runner/check/diagnostics.ts';
import { projectOf } from '../../../lib/runner/check/project.ts';
import { findTypescript, TypescriptMissingError } from '../../../lib/runner/check/typescript.ts';
import { root } from '../../support/command.ts';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'kvm-dsm-check-')));
after(() => rmSync(folder, { recursive: true }));

interface Project {
  extends?: string;
  files: string[];
  include: string[];
  compilerOptions: Record<string, unknown>;
}
const project = (script: string, at = folder) => projectOf([script], at) as Project;

test('the compiler of the project goes before those of others; without any it says what to install', () => {
  const script = join(folder, 'a.ts');
  assert.throws(
    () => findTypescript(script, []),
    (error) =>
      error instanceof TypescriptMissingError &&
      error.code === 'ERR_TYPESCRIPT_MISSING' &&
      error.exitCode === 3 &&
      /npm install .*typescript/.test(error.advice),
  );
  assert.match(findTypescript(script, [root]).tsc, /node_modules\/typescript\/bin\/tsc$/);
  const own = join(folder, 'node_modules/typescript');
  mkdirSync(own, { recursive: true });
  writeFileSync(join(own, 'package.json'), '{"version":"5.9.0","bin":{"tsc":"./bin/tsc"}}');
  assert.deepEqual(findTypescript(script, [root]), { version: '5.9.0', tsc: join(own, 'bin/tsc') });
});

test('a script without a project has the usual options, and this package under its name', () => {
  const { extends: own, files, include, compilerOptions } = project('/x/a.ts');
  assert.deepEqual([own, files, include], [undefined, ['/x/a.ts'], []]);
  assert.equal(compilerOptions.strict, true);
  assert.equal(compilerOptions.noEmit, true);
  assert.equal('allowJs' in compilerOptions, false);
  assert.deepEqual(Object.keys(compilerOptions.paths as object), ['kvm-dsm', 'kvm-dsm/*']);
  assert.equal(project('/x/a.mjs').compilerOptions.allowJs, true);
});

test('one of a project has its options, and writes nothing', () => {
  const inside = join(folder, 'deep/er');
  mkdirSync(inside, { recursive: true });
  writeFileSync(join(folder, 'tsconfig.json'), '{ "compilerOptions": { "strict": false } }');
  const { extends: own, compilerOptions } = project(join(inside, 'a.ts'), inside);
  assert.equal(own, join(folder, 'tsconfig.json'));
  assert.equal('strict' in compilerOptions, false);
  assert.equal(compilerOptions.noEmit, true);
  assert.ok('typeRoots' in compilerOptions);
  writeFileSync(join(folder, 'tsconfig.json'), '{ "compilerOptions": { "typeRoots": ["types"] } }');
  assert.equal('typeRoots' in project(join(inside, 'a.ts'), inside).compilerOptions, false, 'its own count');
});

test('the errors of an output: of a file, of the project, of several lines', () => {
  const text = [
    "a (1).ts(3,7): error TS2322: Type 'string' is not assignable to type 'number'.",
    '  The expected type comes from somewhere.',
    'error TS5083: Cannot read file.',
    '',
  ].join('\n');
  assert.deepEqual(readDiagnostics(text), [
    {
      file: 'a (1).ts',
      line: 3,
      column: 7,
      code: 'TS2322',
      message: "Type 'string' is not assignable to type 'number'.\n  The expected type comes from somewhere.",
    },
    { file: null, line: null, column: null, code: 'TS5083', message: 'Cannot read file.' },
  ]);
  assert.deepEqual(readDiagnostics(''), []);
});
