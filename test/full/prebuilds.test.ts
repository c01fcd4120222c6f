/** The addons that a release ships: each is built, and musl's own loader takes the one for it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readelf, strayImports } from '../../tools/prebuild/imports.ts';
import { fetchedZig, installedZig } from '../../tools/prebuild/zig.ts';
import { root } from '../support/command.ts';
import { testFolder } from '../support/test-folder.ts';
import '../support/own-session.ts';

const work = testFolder();

function run(command: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  assert.equal(status, 0, `${command} ${args.join(' ')}\n${error ?? ''}${stdout}${stderr}`);
  return stdout;
}

/** The checkout may have prebuilds of its own. */
function copyOfCheckout(): string {
  const copy = join(work, 'checkout');
  mkdirSync(copy);
  for (const entry of readdirSync(root))
    if (!['node_modules', 'build', 'prebuilds', '.git', 'out'].includes(entry))
      cpSync(join(root, entry), join(copy, entry), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  return copy;
}

/** A program that has each function of Node-API by name alone, and loads what it is given with every symbol bound. */
function loaderSource(addon: string): string {
  const symbols = readelf('--dyn-syms', '--wide', addon).matchAll(/\sUND\s+(napi_\w+|node_api_\w+)/g);
  const functions = [...symbols].map(([, name]) => `void ${name}(void) {}`);
  assert.ok(functions.length > 50, `${functions.length} functions of Node-API`);
  return `#include <dlfcn.h>
#include <stdio.h>
${functions.join('\n')}
int main(int count, char **words) {
  void *addon = dlopen(words[1], RTLD_NOW);
  if (!addon) return puts(dlerror()), 1;
  return puts(dlsym(addon, "napi_register_module_v1") ? "loaded" : "it registers nothing"), 0;
}
`;
}

test('the addon for musl on x86-64', async (t) => {
  const copy = copyOfCheckout();
  run('npm', ['run', 'prebuilds', '--', 'linux-x64-musl'], copy);
  const addon = join(copy, 'prebuilds/linux-x64/kvm-dsm.musl.node');

  await t.test('brings its C++ library, and has no thread-local variable that only a program may have', () =>
    assert.deepEqual(strayImports(addon, 'musl'), []),
  );
  const loader = '/lib/ld-musl-x86_64.so.1';
  const skip = !existsSync(loader) && `${loader} is missing (Debian: musl)`;
  await t.test("musl's loader finds all that it needs", { skip }, () => {
    const source = join(work, 'load.c');
    writeFileSync(source, loaderSource(addon));
    const program = join(work, 'load');
    const how = ['-target', 'x86_64-linux-musl', '-O2', '-fno-sanitize=all', '-dynamic', '-rdynamic'];
    run(installedZig() ?? fetchedZig(), ['cc', ...how, source, '-o', program], work);
    assert.equal(run(program, [addon], work), 'loaded\n');
  });
});

test('the addon for musl on arm64 brings its C++ library', () => {
  const copy = join(work, 'checkout');
  run('npm', ['run', 'prebuilds', '--', 'linux-arm64-musl'], copy);
  assert.deepEqual(strayImports(join(copy, 'prebuilds/linux-arm64/kvm-dsm.musl.node'), 'musl'), []);
});
