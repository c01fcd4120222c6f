/** The folders that machines are run in: private, kept while their process lives, and gone afterwards. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, beforeEach, describe, type TestContext, test } from 'node:test';
import { cleanLab } from '../../../lib/lab/index.ts';
import { makeWorkFolder } from '../../../lib/lab/work-folder.ts';
import { root } from '../../support/command.ts';
import { testFolder } from '../../support/test-folder.ts';

const work = testFolder();

let cache = '';
beforeEach(() => {
  delete process.env.XDG_RUNTIME_DIR;
  process.env.XDG_CACHE_HOME = mkdtempSync(join(work, 'cache-'));
  cache = join(process.env.XDG_CACHE_HOME, 'kvm-dsm');
});

const asRoot = { skip: process.geteuid?.() !== 0 && 'only root can give a file to another user' };

/** Another process that works in a folder; its path. */
async function other(t: TestContext, before: readonly string[] = []): Promise<{ child: ChildProcess; path: string }> {
  const code = `
    import { makeWorkFolder } from './lib/lab/work-folder.ts';
    console.log((await makeWorkFolder()).path);
    setInterval(() => {}, 1000);`;
  const [command, ...args] = [...before, process.execPath, '--import', 'tsx', '--input-type=module', '--eval', code];
  const child = spawn(command!, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const [path] = await once(createInterface(child.stdout!), 'line');
  return { child, path: String(path) };
}

const mode = (path: string) => lstatSync(path).mode & 0o777;

describe('a folder to work in', { timeout: 120_000 }, () => {
  test('stands in the cache, closed to others, and goes with its run', async () => {
    const folder = await makeWorkFolder();
    assert.equal(dirname(folder.path), join(cache, 'runs'));
    assert.deepEqual([mode(folder.path), mode(dirname(folder.path))], [0o700, 0o700]);
    await folder.remove();
    assert.deepEqual(readdirSync(join(cache, 'runs')), []);
  });

  test("stands with the session's files where these are closed to others", async () => {
    const session = mkdtempSync(join(work, 'session-'));
    process.env.XDG_RUNTIME_DIR = session;
    const folder = await makeWorkFolder();
    assert.equal(dirname(folder.path), join(session, 'kvm-dsm'));
    await folder.remove();
    chmodSync(session, 0o755);
    const elsewhere = await makeWorkFolder();
    assert.equal(dirname(elsewhere.path), join(cache, 'runs'));
    await elsewhere.remove();
  });

  test('that of a process which lives stays, and that of a killed one goes', async (t) => {
    const { child, path } = await other(t);
    writeFileSync(join(path, 'file'), '');
    const first = await makeWorkFolder();
    assert.ok(existsSync(join(path, 'file')));
    assert.deepEqual((await cleanLab()).removed, []);
    assert.ok(existsSync(join(path, 'file')), 'lab clean leaves it');
    child.kill('SIGKILL');
    await once(child, 'exit');
    // What holds its lock ends by the end of a pipe: soon, and not at once.
    while (existsSync(path)) await (await makeWorkFolder()).remove();
    await first.remove();
    assert.deepEqual((await cleanLab()).removed, ['runs']);
    assert.deepEqual(readdirSync(cache), ['lock']);
  });

  const apart = ['unshare', '--pid', '--fork', '--kill-child'];
  const apartFails = spawnSync(apart[0]!, [...apart.slice(1), 'true']).status !== 0;
  test('that of a process whose number is not seen here stays as well', {
    skip: apartFails && 'no PID namespace can be made here',
  }, async (t) => {
    const { path } = await other(t, apart);
    await (await makeWorkFolder()).remove();
    assert.ok(existsSync(path));
  });

  test('nothing in the folder for temporary files is looked at', asRoot, async () => {
    const left = join(tmpdir(), 'kvm-dsm-lab-4194304-left');
    mkdirSync(left, { recursive: true });
    after(() => rmSync(left, { recursive: true, force: true }));
    chownSync(left, 65534, 65534);
    await (await makeWorkFolder()).remove();
    assert.ok(existsSync(left));
  });

  test("a link, an open folder and another user's are refused", async () => {
    mkdirSync(cache, { recursive: true });
    const runs = join(cache, 'runs');
    const refused = () => assert.rejects(makeWorkFolder(), { code: 'ERR_LAB_FOLDER', exitCode: 3 });
    symlinkSync(work, runs);
    await refused();
    rmSync(runs);
    mkdirSync(runs, { mode: 0o755 });
    await refused();
    chmodSync(runs, 0o700);
    await (await makeWorkFolder()).remove();
    if (process.geteuid?.() !== 0) return;
    chownSync(runs, 65534, 65534);
    await refused();
  });

  test("in another user's cache nothing is put: the folder is one for temporary files", asRoot, async () => {
    mkdirSync(cache, { recursive: true });
    chownSync(cache, 65534, 65534);
    const folder = await makeWorkFolder();
    assert.equal(dirname(folder.path), tmpdir());
    assert.equal(mode(folder.path), 0o700);
    await folder.remove();
    assert.deepEqual([existsSync(folder.path), readdirSync(cache)], [false, []]);
  });
});

describe('a home folder that cannot hold a cache', () => {
  const { HOME } = process.env;
  after(() => {
    process.env.HOME = HOME;
  });
  for (const [home, words] of [
    ['', /HOME is "", which is no absolute path/],
    ['here', /HOME is "here", which is no absolute path/],
    ['/no/such/home', /HOME is "\/no\/such\/home", which is not there/],
  ] as const)
    test(JSON.stringify(home), async () => {
      // A relative XDG_CACHE_HOME is to be ignored.
      Object.assign(process.env, { HOME: home, XDG_CACHE_HOME: 'relative' });
      await assert.rejects(makeWorkFolder(), { code: 'ERR_LAB_FOLDER', exitCode: 3, message: words });
      await assert.rejects(cleanLab(), { code: 'ERR_LAB_FOLDER' });
      assert.ok(!existsSync('relative') && !existsSync('here'));
    });
});
