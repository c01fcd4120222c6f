/** Where programs are looked for. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { findProgram, programEnvironment, programFolders } from '../../../lib/host/programs.ts';
import { testFolder } from '../../support/test-folder.ts';

const work = testFolder();

test('not in the current folder: an empty or relative element of PATH counts for nothing', () => {
  assert.deepEqual(programFolders(':/usr/bin::bin:./x:/bin:'), ['/usr/bin', '/bin']);
  for (const path of ['', ':', '.', undefined]) assert.ok(programFolders(path).includes('/usr/bin'), String(path));
  assert.equal(programEnvironment({ PATH: ':/usr/bin:.', HOME: '/' }).PATH, '/usr/bin');
});

test('a folder, and a file that may not be run, do not hide the program behind them', () => {
  const folders = ['folder', 'file', 'dangling', 'good'].map((name) => join(work, name));
  for (const folder of folders) mkdirSync(folder);
  const [folder, file, dangling, good] = folders.map((path) => join(path, 'emulator')) as [
    string,
    string,
    string,
    string,
  ];
  mkdirSync(folder);
  writeFileSync(file, '#!/bin/sh\n', { mode: 0o644 });
  symlinkSync('/no/such/file', dangling);
  writeFileSync(good, '#!/bin/sh\n');
  chmodSync(good, 0o755);
  assert.equal(findProgram('emulator', folders), good);
  assert.equal(findProgram('emulator', folders.slice(0, 3)), undefined);
});
