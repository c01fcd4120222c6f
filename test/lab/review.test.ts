/** `kvm-dsm review` of small trees: what does not apply, build or boot is told by name; a second review builds nothing. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { before, describe, test } from 'node:test';
import { buildLab } from '../../lib/lab/index.ts';
import { type CommandResult, kvmDsm, root } from '../support/command.ts';
import { compilerMissing, labMissing } from '../support/lab.ts';
import { testFolder } from '../support/test-folder.ts';

const work = testFolder();

const on = ['KVM_INTEL', 'KVM_AMD', 'BLK_DEV_INITRD', 'SERIAL_8250_CONSOLE', 'ISO9660_FS', 'BLK_DEV_SD'];
const config = [...on, 'VIRTIO_BLK', 'DEVTMPFS'].map((symbol) => `CONFIG_${symbol}=y\n`).join('');
const image = join(work, 'kernel');

/** A tree whose kernel is a copy, once its one source file compiles. */
function tree(name: string, source: string): string {
  const files = {
    Kbuild: '',
    'arch/x86/kvm/Kconfig': 'config KVM\n\tbool\n',
    'virt/kvm/one.c': source,
    config: `\n${config}`,
    Makefile:
      'allnoconfig:\n\tcp config .config\nbzImage:\n\tgcc -c -o one.o virt/kvm/one.c\n' +
      `\tmkdir -p arch/x86/boot\n\tcp ${image} arch/x86/boot/bzImage\n` +
      // It is at work until it is told to end, and then puts away what is half done.
      `\t@if grep -q slow virt/kvm/one.c && ! test -e ${work}/quick; then \\\n` +
      `\t\ttrap 'echo x > ${work}/put-away; exit 1' TERM; echo '  CC one.o'; while :; do sleep 0.05; done; fi\n` +
      'clean:\n\ttouch cleaned\n',
  };
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(work, name, path)), { recursive: true });
    writeFileSync(join(work, name, path), text);
  }
  return join(work, name);
}

function patch(name: string, from: string, to: string): string {
  const path = join(work, name);
  const head = `From: A <a@example.org>\nSubject: [PATCH] KVM: ${name}\n\nSigned-off-by: A <a@example.org>\n---\n`;
  writeFileSync(path, `${head}--- a/virt/kvm/one.c\n+++ b/virt/kvm/one.c\n@@ -1 +1 @@\n-${from}\n+${to}\n`);
  return path;
}

const cache = ['env', `XDG_CACHE_HOME=${join(work, 'cache')}`];
const review = (args: readonly string[], seconds = 280): CommandResult => kvmDsm(['review', ...args], seconds, cache);
const narrow = (text: string) =>
  assert.deepEqual(
    text.split('\n').filter((line) => line.length > 72),
    [],
  );

/** Ctrl-C, once standard error says something; what it said until the end. */
async function interrupted(args: readonly string[], when: RegExp): Promise<string> {
  const env = { ...process.env, NODE_OPTIONS: '', XDG_CACHE_HOME: join(work, 'cache') };
  const child = spawn(process.execPath, [`${root}dist/cli/main.js`, 'review', ...args], { cwd: root, env });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    const isNew = !when.test(said);
    said += text;
    if (isNew && when.test(said)) child.kill('SIGINT');
  });
  const [code] = await once(child, 'close');
  assert.notEqual(code, 0, said);
  return said;
}

describe('kvm-dsm review', { skip: labMissing() || compilerMissing(), timeout: 900_000 }, () => {
  let good: string;
  before(async () => {
    copyFileSync((await buildLab({})).kernel, image);
    good = tree('good', 'int a;\n');
  });

  test('a series that does not apply: patch, file, hunk', () => {
    const { code, stdout, stderr } = review([patch('away.patch', 'int b;', 'int c;'), '--base', good, '--on', 'svm']);
    assert.equal(code, 1, stderr);
    assert.match(
      stdout,
      /DOES NOT APPLY[\s\S]*patch: +KVM: away\.patch\n[\s\S]*file: +virt\/kvm\/one\.c, hunk 1\n[\s\S]*\| -int b;/,
    );
    narrow(stdout);
  });

  test('a series that does not build: the first error of the compiler, with its place', () => {
    const args = [patch('broken.patch', 'int a;', 'int a = nothing;'), '--base', good, '--on', 'svm'];
    const { code, stdout, stderr } = review(args);
    assert.equal(code, 1, stderr);
    assert.match(stdout, /DOES NOT BUILD[\s\S]*virt\/kvm\/one\.c:1:9: error:/);
    narrow(stdout);
    const json = JSON.parse(review([...args, '--json']).stdout);
    assert.deepEqual([json.verdict, json.build.first.split(':')[0]], ['does not build', 'virt/kvm/one.c']);
  });

  test('a tree against a tree, and a git tree against its tag', () => {
    const broken = tree('broken', 'int a = nothing;\n');
    const two = review([broken, '--base', good, '--on', 'svm']);
    assert.equal(two.code, 1, two.stderr);
    assert.match(two.stdout, /DOES NOT BUILD[\s\S]*virt\/kvm\/one\.c:1:9: error:/);
    const history = tree('history', 'int a;\n');
    const who = ['-c', 'user.name=A', '-c', 'user.email=a@example.org'];
    const git = (...args: string[]) => execFileSync('git', ['-C', history, ...who, ...args], { stdio: 'pipe' });
    for (const args of [['init'], ['add', '.'], ['commit', '-m', 'Linux'], ['tag', 'v6.12']]) git(...args);
    tree('history', 'int a = nothing;\n');
    git('commit', '-a', '-m', 'KVM: Break it');
    const { code, stdout, stderr } = review([history, '--on', 'svm']);
    assert.equal(code, 1, stderr);
    assert.match(stdout, /^Series: {2}KVM: Break it, 1 patch\nBase: {4}v6\.12 of /);
    assert.match(stdout, /DOES NOT BUILD[\s\S]*virt\/kvm\/one\.c:1:9: error:/);
    narrow(stdout);
  });

  test('a base that does not build says nothing of the series', () => {
    const bad = tree('bad', 'int a = nothing;\n');
    const { code, stderr } = review([patch('mends.patch', 'int a = nothing;', 'int a;'), '--base', bad, '--on', 'svm']);
    assert.equal(code, 3);
    assert.match(stderr, /does not build without the series: virt\/kvm\/one\.c:1:9: error: [\s\S]*\[ERR_REVIEW_BASE\]/);
  });

  test('a kernel that does not boot: the lane, and the last lines of its console', () => {
    const args = [
      patch('boots.patch', 'int a;', 'int b;'),
      '--base',
      good,
      '--on',
      'svm',
      '--only',
      'capability.api-version',
    ];
    const { code, stdout, stderr } = review([...args, '--cmdline', 'rdinit=/nothing root=/dev/nothing panic=-1']);
    assert.equal(code, 1, stderr);
    assert.match(stdout, /DOES NOT BOOT on svm\.[\s\S]*last lines of its console:\n {2}\| /);
    narrow(stdout);
  });

  test('one that boots is judged on both sides, and judged again without a build or a boot', () => {
    const out = join(work, 'out');
    const args = [
      patch('fine.patch', 'int a;', 'int c;'),
      '--base',
      good,
      '--on',
      'svm',
      '--only',
      'capability.api-version',
    ];
    const first = review([...args, '--out', out]);
    // There is no selftest, and the kernel is the lab's on both sides: it forwards without being asked.
    assert.equal(first.code, 1, first.stderr);
    assert.match(
      first.stdout,
      /it builds and boots[\s\S]*review-checklist\.rst[\s\S]*before: 1 pass[\s\S]*with: +1 pass/,
    );
    assert.match(first.stderr, /build with the series[\s\S]*suite on svm[\s\S]*left/);
    narrow(first.stdout);
    assert.equal(readFileSync(join(out, 'reply.txt'), 'utf8'), first.stdout);
    assert.match(readFileSync(join(out, 'child-svm.ktap'), 'utf8'), /^KTAP version 1\n/);
    const again = review([...args, '--reporter', 'ktap']);
    assert.doesNotMatch(again.stderr, /build|suite/);
    assert.match(again.stdout, /^KTAP version 1\n[\s\S]*^ok 1 apply\nok 2 build\nok 3 boot\.svm\nok 4 suite\.svm$/m);
    const json = JSON.parse(readFileSync(join(out, 'review.json'), 'utf8'));
    assert.deepEqual(
      json.findings.map(({ id }: { id: string }) => id),
      ['checklist 5', 'test.selftest'],
    );
  });

  test('an interrupted review goes on where it was', async () => {
    const args = [patch('slow.patch', 'int a;', 'int slow;'), '--base', good, '--on', 'svm', '--only', 'capability'];
    const first = await interrupted(args, /build with the series: 1 files compiled/);
    assert.match(
      first,
      /interrupted by SIGINT while reviewing [\s\S]*Run the same command again: it goes on where it was/,
    );
    assert.ok(existsSync(join(work, 'put-away')), 'make was not asked to end');
    writeFileSync(join(work, 'quick'), '');
    const second = await interrupted(args, /suite on svm/);
    assert.match(second, /build with the series[\s\S]*interrupted by SIGINT while reviewing /);
    assert.doesNotMatch(second, /build the parent/);
    const third = review(args);
    assert.equal(third.code, 1, third.stderr);
    assert.doesNotMatch(third.stderr, /build/);
    assert.match(third.stdout, /before: \d+ pass, 0 fail/);
  });

  test('objects of a make that was killed are not believed', () => {
    const home = readdirSync(join(work, 'cache/kvm-dsm/reviews')).filter((name) => name.startsWith('tree-'));
    const trees = home.map((name) => join(work, 'cache/kvm-dsm/reviews', name));
    for (const tree of trees) writeFileSync(join(tree, 'building'), '');
    const args = [patch('killed.patch', 'int a;', 'int a = other;'), '--base', good, '--on', 'svm'];
    assert.match(review(args).stdout, /DOES NOT BUILD/);
    assert.equal(trees.filter((tree) => existsSync(join(tree, 'tree/cleaned'))).length, 1);
    assert.equal(trees.filter((tree) => existsSync(join(tree, 'building'))).length, trees.length - 1);
  });

  test('the checklist alone builds and boots nothing', () => {
    const args = [patch('listed.patch', 'int a;', 'int a = nothing;'), '--base', good, '--checklist'];
    const { code, stdout, stderr } = review(args, 120);
    assert.equal(code, 1, stderr);
    assert.match(stdout, /it applies, and was not built[\s\S]*review-checklist\.rst/);
    assert.doesNotMatch(stderr, /suite|compiled/);
    const { again } = JSON.parse(review([...args, '--json']).stdout).findings[0];
    assert.equal(again, `npx kvm-dsm review ${work}/listed.patch --base ${good} --checklist`);
    narrow(stdout);
  });

  for (const [what, args, message] of [
    ['no such file', ['nothing.mbox'], /nothing\.mbox does not exist.*\[ERR_REVIEW_SERIES\]/],
    ['the host', ['x.patch', '--on', 'host'], /a review boots kernels.*\[ERR_ARGUMENT\]/],
    [
      'a check that there is not',
      ['x.patch', '--only', 'nothing.such'],
      /No check is named by nothing\.such.*\[ERR_ARGUMENT\]/,
    ],
    ['a kernel of its own', ['x.patch', '--kernel', 'x'], /builds its kernels itself.*\[ERR_ARGUMENT\]/],
    [
      'a base that is no tree',
      ['kernel/mails/rfc-v2.mbox', '--base', 'docs'],
      /no Linux source tree.*\[ERR_REVIEW_SERIES\]/,
    ],
  ] as const)
    test(`${what} is refused`, () => {
      const { code, stderr } = review(args, 60);
      assert.equal(code, 2, stderr);
      assert.match(stderr, message);
    });
});
