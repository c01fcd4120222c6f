import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../support/command.ts';
import { testFolder } from '../support/test-folder.ts';

const work = testFolder();

/** A checkout that has nothing but what the release looks at first. */
function checkout(name: string, changelog: string): { dir: string; git: (...args: string[]) => void } {
  const dir = join(work, name);
  mkdirSync(join(dir, 'tools'), { recursive: true });
  for (const file of ['package.json', 'tools/release.mjs']) cpSync(join(root, file), join(dir, file));
  writeFileSync(join(dir, 'CHANGELOG.md'), changelog);
  const who = ['-c', 'user.name=test', '-c', 'user.email=test@example.org'];
  const git = (...args: string[]) => {
    const { status, stderr } = spawnSync('git', [...who, ...args], { cwd: dir, encoding: 'utf8' });
    assert.equal(status, 0, stderr);
  };
  git('init', '--quiet');
  git('add', '.');
  git('commit', '--quiet', '--message', 'all');
  return { dir, git };
}

function release(dir: string): { status: number | null; stderr: string } {
  const { status, stderr } = spawnSync(process.execPath, ['tools/release.mjs'], { cwd: dir, encoding: 'utf8' });
  return { status, stderr };
}

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };

test('a tree with changes is not released', () => {
  const { dir } = checkout('changed', `# Changelog\n\n## ${version}\n`);
  writeFileSync(join(dir, 'mine.txt'), '');
  const { status, stderr } = release(dir);
  assert.equal(status, 1);
  assert.match(stderr, /^The tree is not clean; commit or remove:\n\?\? mine\.txt/);
});

test('a version without an entry in the changelog is not released', () => {
  const { dir } = checkout('unwritten', '# Changelog\n\n## Unreleased\n');
  const { status, stderr } = release(dir);
  assert.equal(status, 1);
  assert.equal(stderr.trim(), `CHANGELOG.md has no entry "## ${version}": name its "Unreleased" so.`);
});

test('a version whose tag is another commit is not released', () => {
  const { dir, git } = checkout('tagged', `# Changelog\n\n## ${version}\n`);
  git('tag', `v${version}`);
  git('commit', '--quiet', '--allow-empty', '--message', 'later');
  const { status, stderr } = release(dir);
  assert.equal(status, 1);
  assert.equal(stderr.trim(), `v${version} is another commit: raise the version in package.json.`);
});
