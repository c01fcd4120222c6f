/** What is advised where the addon does not load. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { addonAdvice, shippedAddons, thisRuntime } from '../../../lib/host/addon-causes.ts';
import { testFolder } from '../../support/test-folder.ts';

const debian = { arch: 'x64', glibc: '2.36' };
const alpine = { arch: 'x64', glibc: null };
const shipped = ['x64 with glibc'];
/** As node-gyp-build says it. */
const none = (libc: string, arch = 'x64') =>
  `No native build was found for platform=linux arch=${arch} runtime=node abi=115 uv=1 libc=${libc} node=20.20.2\n    loaded from: /app/node_modules/kvm-dsm\n`;

test('an old glibc or libstdc++, in the words of ld.so', () => {
  const old =
    "/lib64/libc.so.6: version `GLIBC_2.34' not found (required by /app/prebuilds/linux-x64/kvm-dsm.glibc.node)";
  assert.match(
    addonAdvice(old, false, shipped, { arch: 'x64', glibc: '2.17' }),
    /newer glibc \(GLIBC_2\.34, this system has 2\.17\)/,
  );
  const cxx = "/lib64/libstdc++.so.6: version `GLIBCXX_3.4.29' not found (required by kvm-dsm.glibc.node)";
  assert.match(addonAdvice(cxx, false, shipped, debian), /newer libstdc\+\+ \(GLIBCXX_3\.4\.29\)/);
});

test('no prebuilt addon for this system', () => {
  assert.match(
    addonAdvice(none('musl'), false, shipped, alpine),
    /for x64 with glibc, and this is x64 with another C library/,
  );
  assert.match(
    addonAdvice(none('glibc', 'arm64'), false, shipped, { ...debian, arch: 'arm64' }),
    /this is arm64 with glibc 2\.36/,
  );
  assert.match(addonAdvice(none('glibc'), false, [], debian), /has no prebuilt addon: install it again/);
  assert.match(addonAdvice(none('glibc'), true, [], debian), /npm run build:native/);
  assert.match(addonAdvice('kvm-dsm.glibc.node: file too short', false, shipped, debian), /damaged or lacks a library/);
});

test('what a package has ready', () => {
  const root = testFolder();
  assert.deepEqual(shippedAddons(root), []);
  for (const path of ['linux-x64/kvm-dsm.glibc.node', 'linux-x64/kvm-dsm.musl.node', 'linux-arm64/kvm-dsm.node']) {
    mkdirSync(join(root, 'prebuilds', path, '..'), { recursive: true });
    writeFileSync(join(root, 'prebuilds', path), '');
  }
  assert.deepEqual(shippedAddons(root), ['arm64', 'x64 with glibc', 'x64 with musl']);
});

test('this system is told, and what reports hold is as it was', () => {
  assert.equal(thisRuntime().arch, process.arch);
  assert.doesNotThrow(() => process.report.getReport());
});
