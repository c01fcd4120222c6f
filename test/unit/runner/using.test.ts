/** `using` as scripts have it: compiled by the bundler for a runtime without it, and run. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { bundleScript } from '../../../lib/runner/bundle/bundle.ts';
import { bundleModule } from '../../../lib/runner/bundle/module.ts';
import { ScriptFunction } from '../../../lib/runner/evaluate/script-function.ts';
import { testFolder } from '../../support/test-folder.ts';

const dir = testFolder();

/** What every case has at hand; each leaves its words in `said`. */
const head = `
  const said: string[] = [];
  const one = (name: string, fails = false) => ({
    [Symbol.dispose]() { said.push('-' + name); if (fails) throw new Error('dispose ' + name); },
    async [Symbol.asyncDispose]() { said.push('~' + name); if (fails) throw new Error('dispose ' + name); },
  });
  const words = (error: any): string => error.name === 'SuppressedError' || error.suppressed
    ? words(error.error) + ' over ' + words(error.suppressed) : error.message;
  const trying = async (round: number, work: () => unknown) => {
    try { await work(); said.push(round + ' ok'); } catch (error) { said.push(round + ' ' + words(error)); }
  };
`;

const cases: Record<string, { code: string; said: string[] }> = {
  'using in a loop with try and catch': {
    code: `for (let n = 0; n < 3; n++) {
      try { using a = one('a'); if (n === 0) throw new Error('first'); said.push(n + ' ok'); }
      catch (error) { said.push(n + ' ' + words(error)); } }`,
    said: ['-a', '0 first', '1 ok', '-a', '2 ok', '-a'],
  },
  'await using in a block of a loop, and in a function of its own': {
    code: `for (let n = 0; n < 3; n++) {
      try { { await using a = one('a'); if (n === 0) throw new Error('first'); } said.push(n + ' ok'); }
      catch (error) { said.push(n + ' ' + words(error)); }
      await trying(n, async () => { await using b = one('b'); if (n === 1) throw new Error('second'); }); }`,
    said: ['~a', '0 first', '~b', '0 ok', '~a', '1 ok', '~b', '1 second', '~a', '2 ok', '~b', '2 ok'],
  },
  'loops in one another, left by continue and break': {
    code: `outer: for (let n = 0; n < 2; n++) {
      using a = one('a');
      for (let k = 0; k < 3; k++) {
        try { await using b = one('b'); if (k === 0) throw new Error('inner'); if (k === 1) continue; break; }
        catch (error) { said.push(words(error)); } } }`,
    said: ['~b', 'inner', '~b', '~b', '-a', '~b', 'inner', '~b', '~b', '-a'],
  },
  'the heads of for-of': {
    code: `const walk = async (fails: number) => {
      for (using a of [one('a'), one('b')]) if (fails === 1) throw new Error('sync');
      for (await using a of [one('c')]) if (fails === 2) throw new Error('async');
      for await (using a of [one('d')]) said.push('in'); };
      for (let n = 1; n < 4; n++) await trying(n, () => walk(n));`,
    said: ['-a', '1 sync', '-a', '-b', '~c', '2 async', '-a', '-b', '~c', 'in', '-d', '3 ok'],
  },
  'a block in a switch': {
    code: `for (let n = 0; n < 3; n++) try {
      switch (n) { case 0: { using a = one('a'); throw new Error('case'); } default: { using a = one('d'); said.push('default'); } } }
      catch (error) { said.push(words(error)); }`,
    said: ['-a', 'case', 'default', '-d', 'default', '-d'],
  },
  'a disposal that fails, over an error of the block and alone': {
    code: `for (let n = 0; n < 3; n++) await trying(n, async () => {
      await using a = one('a', n < 2); using b = one('b'); if (n === 0) throw new Error('block'); });`,
    said: ['-b', '~a', '0 dispose a over block', '-b', '~a', '1 dispose a', '-b', '~a', '2 ok'],
  },
  'null, undefined, and the value undefined thrown': {
    code: `for (let n = 0; n < 2; n++) try { using a = null, b = undefined; if (n === 0) throw undefined; said.push('ok'); }
      catch (error) { said.push(String(error)); }`,
    said: ['undefined', 'ok'],
  },
};

for (const [name, { code, said }] of Object.entries(cases)) {
  const file = join(dir, `${name.replaceAll(/\W/g, '-')}.ts`);
  writeFileSync(file, `${head}${code}\n(globalThis as any).said = said;\nexport const subjects = said;\n`);

  test(`${name}: in a script`, async () => {
    const bundle = await bundleScript(file, '', {});
    await new ScriptFunction(bundle.code, file).run({});
    assert.deepEqual((globalThis as { said?: string[] }).said, said);
  });

  test(`${name}: in a module of checks`, async () => {
    const module = `${file}.mjs`;
    writeFileSync(module, await bundleModule(file, '/nowhere'));
    assert.deepEqual((await import(pathToFileURL(module).href)).subjects, said);
  });
}
