/** What lies on the disks of the lab's machines. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { shellWord } from '../../../lib/base/shell.ts';
import { cpioFile, cpioLink, packCpio } from '../../../lib/lab/disk/cpio.ts';
import { readLdd } from '../../../lib/lab/disk/medium.ts';
import { testFolder } from '../../support/test-folder.ts';

const dir = testFolder();

describe('packCpio', () => {
  const archive = packCpio([
    cpioFile('a/b/run', 'three\n', true),
    cpioLink('a/link', 'b/run'),
    cpioFile('empty', ''),
    cpioFile('a/b/bytes', Buffer.from([0, 255, 10])),
  ]);

  test('files, links, modes, and the folders above them, in the format that the kernel unpacks', () => {
    const entries = readNewc(archive).map(({ name, mode, data }) => [name, mode.toString(8), data.toString('latin1')]);
    assert.deepEqual(entries, [
      ['a', '40755', ''],
      ['a/b', '40755', ''],
      ['a/b/run', '100755', 'three\n'],
      ['a/link', '120777', 'b/run'],
      ['empty', '100644', ''],
      ['a/b/bytes', '100644', '\x00\xff\n'],
    ]);
  });

  const busybox = spawnSync('busybox', ['cpio', '--help']).status === 0;
  test("busybox's cpio unpacks it", { skip: !busybox && 'there is no busybox with cpio here' }, () => {
    const { status, stderr } = spawnSync('busybox', ['cpio', '-i'], { cwd: dir, input: archive, encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    assert.equal(readFileSync(join(dir, 'a/link'), 'utf8'), 'three\n');
    assert.equal(readlinkSync(join(dir, 'a/link')), 'b/run');
    assert.equal(statSync(join(dir, 'a/b/run')).mode & 0o777, 0o755);
    assert.equal(statSync(join(dir, 'empty')).size, 0);
    assert.deepEqual([...readFileSync(join(dir, 'a/b/bytes'))], [0, 255, 10]);
  });
});

/**
 * Reads an archive by Documentation/driver-api/early-userspace/buffer-format.rst: a magic, 13 numbers of 8 hexadecimal
 * digits, the name with its NUL, the data; the name and the data end at a multiple of 4 bytes.
 */
function readNewc(archive: Buffer): { name: string; mode: number; data: Buffer }[] {
  const entries: ReturnType<typeof readNewc> = [];
  const inodes = new Set<number>();
  const aligned = (at: number) => {
    const end = Math.ceil(at / 4) * 4;
    assert.ok(archive.subarray(at, end).every((byte) => byte === 0) && end <= archive.length, `no padding at ${at}`);
    return end;
  };
  for (let at = 0; at < archive.length; ) {
    const header = archive.toString('latin1', at, at + 110);
    assert.match(header, /^070701[0-9a-f]{104}$/i, `no header at ${at}`);
    const numbers = header
      .slice(6)
      .match(/.{8}/g)!
      .map((digits) => Number.parseInt(digits, 16));
    const [inode, mode, , , links, , size, , , , , nameSize, checksum] = numbers;
    const nameEnd = at + 110 + nameSize!;
    assert.equal(archive[nameEnd - 1], 0, 'the name ends with NUL');
    const name = archive.toString('latin1', at + 110, nameEnd - 1);
    const start = aligned(nameEnd);
    assert.equal(checksum, 0);
    if (name === 'TRAILER!!!') {
      assert.equal(start, archive.length, 'something stands after the trailer');
      return entries;
    }
    // Two names of one inode with more than one link would be one file.
    assert.ok(links === 1 && !inodes.has(inode!), name);
    inodes.add(inode!);
    entries.push({ name, mode: mode!, data: archive.subarray(start, start + size!) });
    at = aligned(start + size!);
  }
  return assert.fail('no trailer');
}

test('shellWord gives the shell back every word', () => {
  const words = ["it's", '', ' a  b ', '$HOME `x` "y" \\', 'line\nbreak', '*', '-n', '\u{1f427}'];
  const { stdout } = spawnSync('sh', ['-c', `printf '%s\\0' ${words.map(shellWord).join(' ')}`], { encoding: 'utf8' });
  assert.deepEqual(stdout.split('\0').slice(0, -1), words);
});

test("readLdd takes the paths of ldd's lines", () => {
  const text =
    '\tlinux-vdso.so.1 (0x00007f9da8dc4000)\n' +
    '\tlibdl.so.2 => /lib/x86_64-linux-gnu/libdl.so.2 (0x00007f9da8dad000)\n' +
    '\tlibmissing.so => not found\n' +
    '\t/lib64/ld-linux-x86-64.so.2 (0x00007f9da8dc6000)\n';
  assert.deepEqual(readLdd(text), ['/lib/x86_64-linux-gnu/libdl.so.2', '/lib64/ld-linux-x86-64.so.2']);
});
