import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import '../support/own-session.ts';
import { fileURLToPath } from 'node:url';
import { strayImports } from '../../tools/prebuild/imports.ts';
import { testFolder } from '../support/test-folder.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const work = testFolder();

function run(command: string, args: string[], cwd: string, env: NodeJS.ProcessEnv = process.env): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, env, encoding: 'utf8' });
  assert.equal(status, 0, `${command} ${args.join(' ')}\n${error ?? ''}${stdout}${stderr}`);
  return stdout;
}

/** A PATH with node, npm and a shell, and nothing that could compile. */
function pathWithoutCompiler(): string {
  const bin = join(work, 'bin');
  mkdirSync(bin);
  const npm = join(dirname(process.execPath), 'npm');
  symlinkSync(process.execPath, join(bin, 'node'));
  symlinkSync(realpathSync(npm), join(bin, 'npm'));
  for (const tool of ['sh', 'env']) symlinkSync(realpathSync(`/bin/${tool}`), join(bin, tool));
  for (const tool of ['cc', 'c++', 'gcc', 'g++', 'make', 'cmake', 'python3'])
    assert.ok(spawnSync('sh', ['-c', `command -v ${tool}`], { env: { PATH: bin } }).status !== 0, `${tool} is hidden`);
  return bin;
}

test('a packed tarball with a prebuild installs and loads without compiler, python or cmake', () => {
  // In a copy: the checkout may have prebuilds of its own.
  const copy = join(work, 'checkout');
  mkdirSync(copy);
  for (const entry of readdirSync(root)) {
    if (['node_modules', 'build', 'prebuilds', '.git'].includes(entry)) continue;
    cpSync(join(root, entry), join(copy, entry), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  run('npm', ['run', 'prebuilds', '--', 'linux-x64-glibc'], copy);
  const addon = join(copy, 'prebuilds/linux-x64/kvm-dsm.glibc.node');
  assert.deepEqual(strayImports(addon, 'glibc'), [], 'it loads with each glibc from 2.28 on, and brings its libstdc++');
  const listing = JSON.parse(run('npm', ['pack', '--ignore-scripts', '--json'], copy)) as unknown;
  const packed = (Array.isArray(listing) ? listing : Object.values(listing as object))[0] as {
    filename: string;
    files: { path: string }[];
  };
  const paths = packed.files.map(({ path }) => path);
  for (const wanted of ['dist/index.js', 'dist/index.d.ts', 'dist/cli/main.js', 'dist/kernel.br', 'README.md'])
    assert.ok(paths.includes(wanted), `${wanted} is in the package`);
  assert.ok(
    paths.some((path) => /^prebuilds\/linux-x64\/.*\.node$/.test(path)),
    'a prebuild is in the package',
  );
  assert.ok(!paths.some((path) => path.startsWith('build/')), 'no build of this machine is in the package');

  const elsewhere = join(work, 'elsewhere');
  mkdirSync(elsewhere);
  writeFileSync(join(elsewhere, 'package.json'), '{"name":"elsewhere","private":true,"type":"module"}');
  const env = { ...process.env, PATH: pathWithoutCompiler() };
  run('npm', ['install', '--no-audit', '--no-fund', join(copy, packed.filename)], elsewhere, env);
  writeFileSync(
    join(elsewhere, 'use.mjs'),
    `import { GuestMemory, Kvm } from 'kvm-dsm';
     using: { const memory = GuestMemory.allocate(4096); memory.write(0, Uint8Array.of(7)); console.log(memory.read(0, 1)[0]); memory.close(); }
     try { Kvm.open('/dev/null'); } catch (error) { console.log(error.code); }`,
  );
  assert.equal(run('node', ['use.mjs'], elsewhere, env), '7\nERR_NOT_KVM\n');
  const help = run('node', ['node_modules/kvm-dsm/dist/cli/main.js', '--help'], elsewhere, env);
  assert.match(help, /doctor/);
});
