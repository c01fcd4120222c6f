/** Which patch each line of a source comes from. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { changesOf, LineOrigins, originsAfter, rangesOf } from '../../../lib/lab/kernel/line-origins.ts';
import { runBound } from '../../../lib/lab/process.ts';
import { compilerMissing } from '../../support/lab.ts';

test('changes are read from a diff without context: added, removed, and changed lines', () => {
  assert.deepEqual(changesOf('@@ -3,0 +4,2 @@ int f\n+a\n+b\n@@ -7 +9 @@\n-x\n+y\n@@ -9,2 +10,0 @@\n-p\n-q\n'), [
    { old: 4, removed: 0, added: 2 },
    { old: 7, removed: 1, added: 1 },
    { old: 9, removed: 2, added: 0 },
  ]);
});

test('a line keeps its origin where others come and go around it', () => {
  const first = originsAfter(['', '', ''], [{ old: 2, removed: 0, added: 2 }], 'one');
  assert.deepEqual(first, ['', 'one', 'one', '', '']);
  const second = originsAfter(
    first,
    [
      { old: 3, removed: 1, added: 1 },
      { old: 5, removed: 1, added: 0 },
    ],
    'two',
  );
  assert.deepEqual(second, ['', 'one', 'two', '']);
  assert.deepEqual(rangesOf(second), { one: [[2, 2]], two: [[3, 3]] });
});

test('patches that follow each other: each line of the last state has the patch that brought it', {
  skip: compilerMissing(),
}, async () => {
  const work = mkdtempSync(join(tmpdir(), 'kvm-dsm-origins-'));
  try {
    const tree = join(work, 'tree');
    mkdirSync(join(tree, 'kvm'), { recursive: true });
    writeFileSync(join(tree, 'kvm/a.c'), 'one\ntwo\nthree\nfour\n');
    const patches: Record<string, string> = {
      'first.patch': '--- a/kvm/a.c\n+++ b/kvm/a.c\n@@ -1,4 +1,6 @@\n one\n+first 1\n+first 2\n two\n three\n four\n',
      'second.patch':
        '--- a/kvm/a.c\n+++ b/kvm/a.c\n@@ -1,5 +1,5 @@\n one\n first 1\n-first 2\n+second\n two\n three\n--- /dev/null\n+++ b/kvm/new.c\n@@ -0,0 +1,2 @@\n+n 1\n+n 2\n',
    };
    const origins = new LineOrigins(tree, join(work, 'before'));
    for (const [name, text] of Object.entries(patches)) {
      const path = join(work, name);
      writeFileSync(path, text);
      await origins.patched(path, name, async () => {
        const { code, output } = await runBound('patch', ['-p1', '--batch', '--fuzz=0', '-d', tree, '-i', path]);
        assert.equal(code, 0, output);
      });
    }
    writeFileSync(join(tree, 'kvm/beside.h'), 'h 1\nh 2\nh 3\n');
    origins.added('kvm/beside.h', 'beside.h');
    assert.deepEqual(origins.byFile(), {
      'kvm/a.c': { 'first.patch': [[2, 2]], 'second.patch': [[3, 3]] },
      'kvm/new.c': { 'second.patch': [[1, 2]] },
      'kvm/beside.h': { 'beside.h': [[1, 3]] },
    });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
});
