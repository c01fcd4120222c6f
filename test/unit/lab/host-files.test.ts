/** What `lab exec` brings along. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ArgumentError } from '../../../lib/base/errors.ts';
import { commandInside } from '../../../lib/lab/host-files.ts';
import { testFolder } from '../../support/test-folder.ts';

const HERE = '/run/kvm-dsm/exec/here';
const ROOT = '/run/kvm-dsm/exec/root';

describe('the command line of lab exec', () => {
  const folder = testFolder();
  mkdirSync(join(folder, 'sub'));
  const put = (name: string, text: string, mode = 0o644) => {
    writeFileSync(join(folder, name), text);
    chmodSync(join(folder, name), mode);
  };
  put('run.sh', '#!/bin/sh\n', 0o755);
  put('apic.flat', 'guest');
  put('sub/data', 'x');
  const inside = (...words: string[]) => commandInside(words, folder);
  const brought = (...words: string[]) => inside(...words).files.map(({ path, executable }) => [path, executable]);
  const refused = (words: string[], message: RegExp) =>
    assert.throws(
      () => inside(...words),
      (error) => error instanceof ArgumentError && message.test(error.message),
    );

  test('a program without a slash, and paths of the machine itself, are its own', () => {
    for (const words of [
      ['cat', '/proc/cmdline'],
      ['/bin/sh', '-c', 'ls'],
      ['/media/node', '-v'],
    ])
      assert.deepEqual(inside(...words), { words, files: [], folder: null });
  });

  test('a program of this folder goes with the files that its arguments name, and keeps its words', () => {
    const words = ['./run.sh', 'apic.flat', '-k', 'none', 'sub/data'];
    assert.deepEqual(inside(...words).words, words);
    assert.deepEqual(brought(...words), [
      [`${HERE}/run.sh`, true],
      [`${HERE}/apic.flat`, false],
      [`${HERE}/sub/data`, false],
    ]);
    assert.equal(inside('./run.sh').folder, HERE);
  });

  test('a file elsewhere has another name inside, and the words say it', () => {
    const path = join(folder, 'apic.flat');
    assert.deepEqual(inside('cat', path).words, ['cat', ROOT + path]);
    assert.deepEqual(brought('cat', path), [[ROOT + path, false]]);
    const above = commandInside(['cat', '../apic.flat'], join(folder, 'sub'));
    assert.deepEqual(above.words, ['cat', ROOT + path]);
  });

  test('a folder is not brought, nor is one file twice', () => {
    assert.deepEqual(brought('ls', 'sub'), []);
    assert.equal(inside('cat', 'apic.flat', './apic.flat').files.length, 1);
  });

  test('refused before a boot: what is not there, what cannot run inside, and too much', () => {
    refused(['./missing'], /there is no file \.\/missing here/);
    refused(['./apic.flat'], /neither an ELF file nor a script/);
    refused([process.execPath], /shared libraries/);
    put('large', '');
    truncateSync(join(folder, 'large'), (32 << 20) + 1);
    refused(['cat', 'large'], /33554433 bytes, and 33554432 at most/);
    const other = Buffer.alloc(64);
    other.write('\x7fELF\x02', 'latin1');
    other.writeUInt16LE(183, 18); // EM_AARCH64
    writeFileSync(join(folder, 'other'), other);
    refused(['./other'], /made for another machine \(e_machine 183\)/);
  });

  const busybox = '/bin/busybox';
  test('a static program is taken', { skip: !existsSync(busybox) && `there is no ${busybox}` }, () => {
    assert.equal(commandInside([`.${busybox}`, 'ls'], '/').files[0]!.path, `${HERE}${busybox}`);
  });
});
