/** Builds of a lab kernel that cannot succeed: of a tree that is not one, and on a disk without room. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { jsonLines, root } from '../support/command.ts';
import { compilerMissing, labMissing } from '../support/lab.ts';
import { testFolder } from '../support/test-folder.ts';

const skip = labMissing() || compilerMissing();
const work = testFolder();

/** Passes for a tree with the series, and has no makefile. */
const tree = join(work, 'tree');
for (const [path, text] of [
  ['Kbuild', ''],
  ['arch/x86/kvm/Kconfig', 'config KVM_DSM_IRQ_FORWARD\n'],
] as const) {
  mkdirSync(dirname(join(tree, path)), { recursive: true });
  writeFileSync(join(tree, path), text);
}

/** What `lab build` of that tree ends with, with its cache in a folder of that name. */
function refusal(cache: string, ...before: string[]): { code: string; message: string; status: number | null } {
  const [command, ...args] = [...before, process.execPath, join(root, 'dist/cli/main.js')];
  const { status, stdout, stderr } = spawnSync(command!, [...args, 'lab', 'build', '--kernel-src', tree, '--json'], {
    env: { ...process.env, XDG_CACHE_HOME: cache },
    encoding: 'utf8',
    timeout: 120_000,
  });
  const error = jsonLines(stdout).at(-1) as { code: string; message: string } | undefined;
  assert.ok(error, stderr);
  return { ...error, status };
}

/** In a mount namespace of its own: a file system of 16 MiB at `$1`, then the rest. */
const small = ['sh', '-c', 'mount -t tmpfs -o size=16m none "$1" && shift && exec "$@"', 'sh'];

describe('a lab kernel that cannot be built', { skip }, () => {
  test("make's last words are in the error, and nothing of the build is left", () => {
    const cache = join(work, 'cache');
    const { code, message, status } = refusal(cache);
    assert.deepEqual([code, status], ['ERR_LAB_BUILD', 3]);
    assert.match(message, /^make ended with 2:\n/);
    assert.match(message, /No rule to make target 'allnoconfig'/);
    assert.deepEqual(
      readdirSync(join(cache, 'kvm-dsm')).filter((name) => name.startsWith('build-')),
      [],
    );
  });

  test('a cache on a small disk', (t) => {
    const cache = join(work, 'small');
    mkdirSync(cache);
    const unshare = [
      ['unshare', '--mount'],
      ['unshare', '--mount', '--map-root-user'],
    ].find(([command, ...args]) => spawnSync(command!, [...args, ...small, cache, 'true']).status === 0);
    if (!unshare) return t.skip('no file system can be mounted here, not even in a namespace');
    const { code, message, status } = refusal(cache, ...unshare, ...small, cache);
    assert.deepEqual([code, status], ['ERR_LAB_SPACE', 3]);
    assert.match(message, /small\/kvm-dsm has 0\.0 GiB free, and the build needs 1 GiB/);
  });
});
