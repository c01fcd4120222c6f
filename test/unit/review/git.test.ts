/** A git tree as a series: its commits since a base, one mail each. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { before, describe, test } from 'node:test';
import { findProgram } from '../../../lib/host/programs.ts';
import { readGiven } from '../../../lib/review/given.ts';
import { baseCommit, unpackCommit } from '../../../lib/review/series/git.ts';
import { testFolder } from '../../support/test-folder.ts';

const work = testFolder();
const tree = join(work, 'linux');
const kconfig = 'arch/x86/kvm/Kconfig';

function git(...args: string[]): string {
  const who = ['-c', 'user.name=A', '-c', 'user.email=a@example.org', '-c', 'init.defaultBranch=master'];
  // Settings that would bend what git prints.
  const bent = ['-c', 'diff.noprefix=true', '-c', 'format.attach=true'];
  return execFileSync('git', ['-C', tree, ...who, ...bent, ...args], { encoding: 'utf8', stdio: 'pipe' });
}

function commit(path: string, text: string, message: string): void {
  mkdirSync(dirname(join(tree, path)), { recursive: true });
  writeFileSync(join(tree, path), text);
  git('add', '--all');
  git('commit', '--quiet', '--message', `${message}\n\nSigned-off-by: A <a@example.org>`);
}

const rejects = (made: Promise<unknown>, message: RegExp) =>
  assert.rejects(made, (error: { code?: string; message: string }) => {
    assert.equal(error.code, 'ERR_REVIEW_SERIES', error.message);
    assert.match(error.message, message);
    return true;
  });

describe('a git tree', { skip: findProgram('git') ? false : 'git is missing' }, () => {
  before(() => {
    mkdirSync(tree);
    git('init', '--quiet');
    git('config', 'diff.noprefix', 'true');
    commit(kconfig, 'config KVM\n', 'Linux');
    git('tag', 'v6.12');
    commit('virt/kvm/one.c', 'int one;\n', 'KVM: Add one');
    commit('virt/kvm/two.c', 'int two;\n', 'KVM: Add two');
  });

  test('alone: the commits behind its newest tag, as mails', async () => {
    const { series, base, isAlone } = await readGiven([tree], undefined);
    assert.deepEqual(
      series.patches.map(({ title, files }) => [title, files.map(({ path, oldPath }) => [path, oldPath])]),
      [
        ['1/2 KVM: Add one', [['virt/kvm/one.c', null]]],
        ['2/2 KVM: Add two', [['virt/kvm/two.c', null]]],
      ],
    );
    assert.match(series.patches[0]!.text, /^Signed-off-by: A /m);
    assert.deepEqual([base.kind, isAlone, series.notes.length], ['commit', false, 1]);
    assert.match(series.notes[0]!, /the 2 commits behind v6\.12 in /);
  });

  test('a named commit is the base, and its files are the tree', async () => {
    const { series, base } = await readGiven([tree], 'HEAD~1');
    assert.deepEqual(
      series.patches.map(({ title }) => title),
      ['KVM: Add two'],
    );
    assert.ok(base.kind === 'commit');
    const into = join(work, 'unpacked');
    mkdirSync(into);
    await unpackCommit(base.commit, into);
    assert.equal(readFileSync(join(into, 'virt/kvm/one.c'), 'utf8'), 'int one;\n');
    assert.ok(!existsSync(join(into, 'virt/kvm/two.c')));
  });

  test('what HEAD shares with its upstream comes before a tag', async () => {
    git('branch', 'other', 'HEAD~1');
    git('branch', '--set-upstream-to', 'other');
    const commit = await baseCommit(tree, undefined);
    assert.equal(commit?.id, git('rev-parse', 'other').trim());
    git('branch', '--unset-upstream');
  });

  test('changes that are not committed are told', async () => {
    writeFileSync(join(tree, kconfig), 'config KVM\n\tbool\n');
    const { series } = await readGiven([tree], undefined);
    git('checkout', '--quiet', kconfig);
    assert.match(series.notes.join('\n'), /1 files with changes that are not committed were left/);
    assert.equal(series.patches.length, 2);
  });

  test('without a tag it is a tree alone', async () => {
    git('tag', '--delete', 'v6.12');
    const { isAlone, base } = await readGiven([tree], undefined);
    git('tag', 'v6.12', 'HEAD~2');
    assert.deepEqual([isAlone, base.kind], [true, 'tree']);
  });

  test('a name that git does not know, and one with nothing behind it, are refused', async () => {
    await rejects(readGiven([tree], 'nothing'), /--base nothing is neither a folder nor a commit/);
    await rejects(readGiven([tree], 'HEAD'), /no commit behind/);
    await rejects(readGiven([tree], work), /no Linux source tree/);
  });
});

describe('a tree against a tree', () => {
  const other = (name: string, files: Record<string, string>) => {
    for (const [path, text] of Object.entries({ [kconfig]: 'config KVM\n', ...files })) {
      mkdirSync(dirname(join(work, name, path)), { recursive: true });
      writeFileSync(join(work, name, path), text);
    }
    return join(work, name);
  };

  test('what differs is one patch; what a build leaves is not looked at', async () => {
    const before = other('old', { 'virt/kvm/one.c': 'int one;\n' });
    const after = other('new', {
      'virt/kvm/one.c': 'int two;\n',
      'virt/kvm/one.o': 'x',
      '.config': 'y\n',
      vmlinux: 'z',
    });
    const { series, base } = await readGiven([after], before);
    assert.deepEqual([series.patches.length, base], [1, { kind: 'tree', path: before }]);
    assert.deepEqual(
      series.patches[0]!.files.map(({ path, oldPath }) => [path, oldPath]),
      [['virt/kvm/one.c', 'virt/kvm/one.c']],
    );
    assert.match(series.patches[0]!.text, /^--- a\/virt\/kvm\/one\.c\t[\s\S]*^\+\+\+ b\/virt\/kvm\/one\.c\t/m);
  });

  test('two that are alike are refused', async () => {
    await rejects(readGiven([other('same', {})], other('as-well', {})), /differs from .* in nothing/);
  });
});
