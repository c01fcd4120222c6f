/** Series as they come: mailboxes, mails, patch files; what does not apply is told with patch, file and hunk. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { applySeries } from '../../../lib/review/series/apply.ts';
import { addedLines, parseDiff } from '../../../lib/review/series/diff.ts';
import { readMail, splitMailbox } from '../../../lib/review/series/mail.ts';
import { oldFiles, readSeries, readSubject, touchedFiles } from '../../../lib/review/series/series.ts';
import { root } from '../../support/command.ts';
import { testFolder } from '../../support/test-folder.ts';

const work = testFolder();

/** Writes files into a new folder; returns its path. */
function folder(files: Record<string, string>): string {
  const path = mkdtempSync(join(work, 'folder-'));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), text);
  }
  return path;
}

const one = `--- a/virt/one.c
+++ b/virt/one.c
@@ -1,4 +1,5 @@
 first
 second
+\tbetween
 third
 fourth
`;
const fresh = `diff --git a/virt/new.h b/virt/new.h
new file mode 100644
--- /dev/null
+++ b/virt/new.h
@@ -0,0 +1,2 @@
+int a;
+int b;
`;
const tree = { 'virt/one.c': 'first\nsecond\nthird\nfourth\n' };
const separator = `From ${'0'.repeat(40)} Mon Sep 17 00:00:00 2001\n`;
const mail = (subject: string, body: string, head = '') =>
  `From: A B <a@example.org>\nDate: Fri, 5 Jun 2026 12:00:00 +0000\nSubject: ${subject}\n${head}\nWords.\n\n---\n${body}-- \n2.39.5\n\n`;
const given = (...paths: string[]) => readSeries(paths);

async function applied(patches: Record<string, string>, files: Record<string, string> = tree) {
  const series = await given(folder(patches));
  const into = folder({});
  return {
    into,
    outcome: await applySeries(series, (path) => (path in files ? Buffer.from(files[path]!) : null), into),
  };
}

describe('a series is read', () => {
  test('from a mailbox, with its cover letter, by its numbers', async () => {
    const box = [
      mail('[RFC PATCH v2 2/2] virt: Add two', fresh),
      mail('[RFC PATCH v2 0/2] virt: All of it', ' virt/one.c | 1 +\n'),
      mail('Re: [RFC PATCH v2 1/2] virt: Add one', one.replace(/^/gm, '> ')),
      mail('[RFC PATCH v2 1/2] virt: Add\n one', one),
    ];
    const series = await given(join(folder({ 'a.mbox': box.map((text) => separator + text).join('') }), 'a.mbox'));
    assert.equal(series.title, 'virt: All of it');
    assert.equal(series.version, 'RFC v2');
    assert.deepEqual(
      series.patches.map(({ title, from }) => [title, from]),
      [
        ['1/2 virt: Add one', 'A B <a@example.org>'],
        ['2/2 virt: Add two', 'A B <a@example.org>'],
      ],
    );
    assert.deepEqual(touchedFiles(series), ['virt/new.h', 'virt/one.c']);
    assert.deepEqual(series.notes, ['1 replies were left out']);
  });

  test('of several versions the newest is taken, and that is told', async () => {
    const box = [mail('[PATCH 1/1] virt: Old', one), mail('[PATCH v3 1/1] virt: New', one)];
    const series = await given(join(folder({ 'a.mbox': box.map((text) => separator + text).join('') }), 'a.mbox'));
    assert.deepEqual(
      series.patches.map(({ subject }) => subject),
      ['virt: New'],
    );
    assert.match(series.notes.join(), /other versions than v3/);
  });

  test('from a folder of patch files, and from a bare diff', async () => {
    const path = folder({
      '0002-b.patch': fresh,
      '0001-a.patch': mail('[PATCH 1/2] virt: Add one', one),
      README: 'no',
    });
    const { patches } = await given(path);
    assert.deepEqual(
      patches.map(({ subject }) => subject),
      ['virt: Add one', '0002-b.patch'],
    );
  });

  for (const [encoding, encode] of [
    ['base64', (text: string) => Buffer.from(text).toString('base64').replace(/.{76}/g, '$&\n')],
    [
      'quoted-printable',
      (text: string) =>
        text.replaceAll('=', '=3D').replaceAll('ö', '=C3=B6').replaceAll('\t', '=09').replace(/ $/gm, '=20'),
    ],
  ] as const)
    test(`with a body in ${encoding}`, async () => {
      const head = `MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: ${encoding}\n`;
      const text = `From: A <a@example.org>\nSubject: [PATCH] virt: J=C3=B6rg\n${head}\n${encode(`Jörg =\n\n---\n${one}-- \n2.39.5\n`)}`;
      const read = await readMail(text);
      assert.match(read.text, /^Jörg =\n/);
      assert.deepEqual(addedLines(parseDiff(read.text)), [{ path: 'virt/one.c', line: 3, text: '\tbetween' }]);
    });

  test('with a patch that is attached', async () => {
    const head = 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="x"\n';
    const parts = `--x\nContent-Type: text/plain\n\nSee there.\n--x\nContent-Type: text/x-patch; name="a.patch"\nContent-Disposition: attachment; filename="a.patch"\n\n${one}\n--x--\n`;
    const read = await readMail(`From: a@example.org\nSubject: [PATCH] a\n${head}\n${parts}`);
    assert.deepEqual(
      parseDiff(read.text).map(({ path }) => path),
      ['virt/one.c'],
    );
  });

  test('a line of a message that looks like a separator splits no mail', () => {
    const box = `${separator}Subject: a\n\n>From here on\nFrom there Mon\n`;
    assert.deepEqual(splitMailbox(Buffer.from(box)), ['Subject: a\n\nFrom here on\nFrom there Mon\n']);
  });

  test('the tags of a subject', () => {
    assert.deepEqual(readSubject('[RFC PATCH v2 01/12] KVM: x86: [sic] words'), {
      number: 1,
      version: 'v2',
      words: 'RFC v2',
      subject: 'KVM: x86: [sic] words',
    });
    assert.equal(readSubject('KVM: words').number, null);
  });

  for (const [what, files, message] of [
    ['no patch', { 'a.mbox': separator + mail('[PATCH] a', 'nothing\n') }, /there is no patch in/],
    ['no such files', { 'a.txt': one }, /no file whose name ends with \.patch/],
    [
      'two series',
      { 'a.mbox': [1, 1].map((n) => separator + mail(`[PATCH ${n}/2] a`, one)).join('') },
      /two patches of number 1/,
    ],
  ] as const)
    test(`a folder with ${what} is refused`, async () => {
      await assert.rejects(given(folder(files)), (error: { code?: string; message: string }) => {
        assert.equal(error.code, 'ERR_REVIEW_SERIES');
        assert.match(error.message, message);
        return true;
      });
    });

  test('a file that an earlier patch makes is none that the tree has to have', async () => {
    const more = '--- a/virt/new.h\n+++ b/virt/new.h\n@@ -1,2 +1,3 @@\n int a;\n int b;\n+int c;\n';
    const series = await given(folder({ '1.patch': one, '2.patch': fresh, '3.patch': more }));
    assert.deepEqual(oldFiles(series), ['virt/one.c']);
  });

  test("the project's own mails of RFC v2", async () => {
    const series = await given(join(root, 'kernel/mails/rfc-v2.mbox'));
    assert.deepEqual([series.version, series.patches.length, series.notes], ['RFC v2', 3, []]);
    assert.ok(touchedFiles(series).includes('include/uapi/linux/kvm.h'));
    const added = addedLines(series.patches.flatMap(({ files }) => files)).map(({ text }) => text);
    const plus = readFileSync(join(root, 'kernel/mails/rfc-v2.mbox'), 'utf8').match(/^\+(?!\+\+ )/gm)!;
    assert.equal(added.length, plus.length, 'no added line is overlooked');
  });
});

describe('a series is applied', () => {
  test('one patch on another, in the order of the series; new files are made', async () => {
    const more = '--- a/virt/new.h\n+++ b/virt/new.h\n@@ -1,2 +1,3 @@\n int a;\n int b;\n+int c;\n';
    const { into, outcome } = await applied({ '1.patch': one, '2.patch': fresh, '3.patch': more });
    assert.deepEqual(outcome, { ok: true, changed: ['virt/new.h', 'virt/one.c'], removed: [], fuzz: [] });
    assert.equal(readFileSync(join(into, 'virt/one.c'), 'utf8'), 'first\nsecond\n\tbetween\nthird\nfourth\n');
    assert.equal(readFileSync(join(into, 'virt/new.h'), 'utf8'), 'int a;\nint b;\nint c;\n');
  });

  test('a file is removed', async () => {
    const gone = '--- a/virt/one.c\n+++ /dev/null\n@@ -1,4 +0,0 @@\n-first\n-second\n-third\n-fourth\n';
    const { outcome } = await applied({ '1.patch': gone });
    assert.deepEqual(outcome, { ok: true, changed: [], removed: ['virt/one.c'], fuzz: [] });
  });

  const second = one.replaceAll('virt/one.c', 'virt/two.c');
  for (const [what, patches, file, hunk, reason] of [
    [
      'the file has something else',
      { '1.patch': fresh, '2.patch': one.replace(' second', ' other') },
      'virt/one.c',
      1,
      /line 1 holds/,
    ],
    ['there is no such file', { '2.patch': second }, 'virt/two.c', null, /no such file/],
    ['it is applied already', { '1.patch': one, '2.patch': one }, 'virt/one.c', null, /applied already/],
    ['a mailer wrapped its lines', { '2.patch': one.replace(' third', 'third') }, 'virt/one.c', 1, /damaged/],
  ] as const)
    test(`what does not apply is told: ${what}`, async () => {
      const { outcome } = await applied(patches);
      assert.ok(!outcome.ok);
      const { failure } = outcome;
      assert.deepEqual([failure.patch, failure.file, failure.hunk], ['2.patch', file, hunk], JSON.stringify(failure));
      assert.match(failure.reason, reason);
    });

  test('nothing outside of the tree is touched', async () => {
    const out = one.replaceAll('virt/one.c', '../outside.c');
    await assert.rejects(applied({ '1.patch': out }), /outside of the tree/);
  });
});
